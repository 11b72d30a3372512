// Files as the attempt left them: those that it changed or cites, at the cited lines.
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import type { Change, CheckedCitation } from '../../api/types';
import { Empty, Skeleton } from '../../parts/Empty';
import { Problem } from '../../parts/Problem';
import { en } from '../../texts/en';
import type { Place } from './citations';
import { Lines } from './Lines';

/** Bytes of a file that are shown. */
const MOST = 8 * 1024 * 1024;

export function FilesView({
  attempt,
  citations,
  ended,
  file,
  first,
  last,
  open,
}: {
  attempt: string;
  citations: CheckedCitation[];
  ended: boolean;
  file: string | undefined;
  first: number;
  last: number;
  open: (place: Place) => void;
}) {
  const change = useQuery({
    queryKey: keys.change(attempt),
    queryFn: ({ signal }) => ask<Change>(`/attempts/${attempt}/change`, { signal }),
    enabled: ended,
    retry: false,
  });
  const changed = new Set(change.data?.files.map((one) => one.path));
  const cited = new Set(citations.flatMap((one) => one.citation.target.file ?? []));
  const paths = [...new Set([...changed, ...cited, ...(file ? [file] : [])])].sort();
  if (paths.length === 0) return <Empty title={ended ? en.files.none : en.diff.notYet} />;
  return (
    <div className="flex h-full min-h-0 max-sm:flex-col">
      <ul className="w-60 shrink-0 overflow-y-auto border-r border-line p-2 max-sm:max-h-40 max-sm:w-full max-sm:border-r-0 max-sm:border-b">
        {paths.map((path) => (
          <li key={path}>
            <button
              type="button"
              aria-current={path === file}
              title={path}
              onClick={() => open({ file: path, first: 0, last: 0 })}
              className="flex min-h-8 w-full items-center gap-2 rounded-m px-2 text-left hover:bg-hover aria-[current=true]:bg-pressed"
            >
              <span className="min-w-0 flex-1 truncate font-mono text-12">{path}</span>
              <span className="text-11 text-ink-2">
                {changed.has(path) ? en.files.changed : en.files.cited}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {file ? (
        <File attempt={attempt} path={file} first={first} last={last} />
      ) : (
        <Empty title={en.files.choose} />
      )}
    </div>
  );
}

function File({
  attempt,
  path,
  first,
  last,
}: {
  attempt: string;
  path: string;
  first: number;
  last: number;
}) {
  const text = useQuery({
    queryKey: ['file', attempt, path],
    queryFn: async ({ signal }) => {
      const get = (at: string) =>
        fetch(`/api/v1/attempts/${attempt}/file?${new URLSearchParams({ path, at })}`, { signal });
      // What was deleted is shown as it was.
      let answer = await get('head');
      if (answer.status === 404) answer = await get('base');
      if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
      if (Number(answer.headers.get('content-length') ?? 0) > MOST) throw new Error(en.files.big);
      return answer.text();
    },
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  const lines = useMemo(() => text.data?.replace(/\n$/, '').split('\n') ?? [], [text.data]);
  if (text.isPending) return <Skeleton rows={8} height={36} />;
  if (text.isError)
    return (
      <div className="p-4">
        <Problem error={text.error} />
      </div>
    );
  return (
    <div className="flex min-h-0 min-w-0 flex-1 flex-col">
      <h3 className="truncate border-b border-line px-4 py-2 font-mono text-12 font-medium">
        {path}
      </h3>
      <Lines
        key={path}
        count={lines.length}
        line={(number) => lines[number - 1]}
        cited={first > 0 ? { first, last } : undefined}
        label={path}
        tall
      />
    </div>
  );
}
