// What changed, file by file. What runs by itself is named on top.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import type { Change, FileChange } from '../../api/types';
import { Button } from '../../parts/Button';
import { Empty, Skeleton } from '../../parts/Empty';
import { Problem } from '../../parts/Problem';
import { DiffStat } from '../../parts/small';
import { en } from '../../texts/en';
import { drawnLines, runsByItself } from './diff';

/** Lines of a file over which it is folded until asked for. */
const FOLD = 1000;

export function DiffView({ attempt, ended }: { attempt: string; ended: boolean }) {
  const change = useQuery({
    queryKey: keys.change(attempt),
    queryFn: ({ signal }) => ask<Change>(`/attempts/${attempt}/change`, { signal }),
    enabled: ended,
  });
  if (!ended) return <Empty title={en.diff.notYet} />;
  if (change.isPending) return <Skeleton rows={5} height={36} />;
  if (change.isError)
    return (
      <div className="p-4">
        <Problem error={change.error} again={() => void change.refetch()} />
      </div>
    );
  const { files, cut } = change.data;
  if (files.length === 0) return <Empty title={en.diff.none} />;
  const sorted = [...files].sort(
    (a, b) => Number(runsByItself(b.path)) - Number(runsByItself(a.path)),
  );
  return (
    <div className="space-y-4 p-4">
      {cut && <p className="text-ink-2">{en.diff.cut}</p>}
      {sorted.map((file) => (
        <File key={file.path} file={file} />
      ))}
    </div>
  );
}

function File({ file }: { file: FileChange }) {
  const count = file.hunks.reduce((sum, hunk) => sum + hunk.lines.length, 0);
  const [open, setOpen] = useState(count <= FOLD);
  return (
    <section className="overflow-clip rounded-l border border-line bg-raised">
      <h3 className="flex min-h-10 items-center gap-3 border-b border-line bg-sunken px-3">
        <span className="min-w-0 truncate font-mono text-12 font-medium">{file.path}</span>
        {file.status !== 'modified' && <span className="text-12 text-ink-2">{file.status}</span>}
        {runsByItself(file.path) && (
          <span className="rounded-s bg-bad-bg px-1.5 text-12 text-bad">{en.diff.runs}</span>
        )}
        <span className="ml-auto">
          <DiffStat stat={file} />
        </span>
      </h3>
      {file.binary && <p className="p-3 text-ink-2">{en.diff.binary}</p>}
      {!open && (
        <p className="flex items-center gap-3 p-3 text-ink-2">
          {en.diff.cut}{' '}
          <Button small onClick={() => setOpen(true)}>
            {en.diff.show}
          </Button>
        </p>
      )}
      {open && (
        <div
          className="overflow-x-auto font-mono text-12/5"
          tabIndex={0}
          role="region"
          aria-label={file.path}
        >
          {file.hunks.map((hunk) => (
            <div key={`${hunk.old_first}-${hunk.new_first}`} className="min-w-max">
              <p className="bg-sunken px-3 text-ink-3">{`@@ ${hunk.old_first} → ${hunk.new_first} ${hunk.heading}`}</p>
              {drawnLines(hunk).map((line) => (
                <div
                  key={line.key}
                  className={`flex ${line.sign === '+' ? 'bg-ok-bg' : line.sign === '-' ? 'bg-bad-bg' : ''}`}
                >
                  <span className="w-11 shrink-0 pr-2 text-right text-ink-2 select-none">
                    {line.before}
                  </span>
                  <span className="w-11 shrink-0 pr-2 text-right text-ink-2 select-none">
                    {line.after}
                  </span>
                  <span
                    aria-hidden="true"
                    className={`w-4 shrink-0 select-none ${line.sign === '+' ? 'text-ok' : 'text-bad'}`}
                  >
                    {line.sign.trim()}
                  </span>
                  {line.sign.trim() && (
                    <span className="sr-only">
                      {line.sign === '+' ? en.diff.added : en.diff.removed}
                    </span>
                  )}
                  <span className="pr-4 whitespace-pre">{line.text}</span>
                </div>
              ))}
            </div>
          ))}
        </div>
      )}
    </section>
  );
}
