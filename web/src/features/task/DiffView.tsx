// What changed, file by file. What runs by itself is named on top.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import { useTaskActions } from '../../api/tasks';
import type { Change, FileChange, NewTurn, Task } from '../../api/types';
import { Button } from '../../parts/Button';
import { Empty, Skeleton } from '../../parts/Empty';
import { Problem } from '../../parts/Problem';
import { DiffStat } from '../../parts/small';
import { en } from '../../texts/en';
import { asPrompt, type Comment, keepComments, loadComments } from './comments';
import { DiffLine } from './DiffLine';
import { changedWords, drawnLines, isTest, runsByItself } from './diff';

/** Lines of a file over which it is folded until asked for. */
const FOLD = 1000;

export function DiffView({
  attempt,
  ended,
  task,
}: {
  attempt: string;
  ended: boolean;
  task: Task;
}) {
  const number = task.task;
  const [comments, setComments] = useState(() => loadComments(number));
  const { turn } = useTaskActions(number);
  const put = (next: Comment[]) => {
    setComments(next);
    keepComments(number, next);
  };
  const write = (at: At, text: string | undefined) => {
    const others = comments.filter((one) => !same(one, at));
    put(text === undefined ? others : [...others, { ...at, text }]);
  };
  const told = comments.filter((one) => one.text.trim());
  const send = () =>
    turn.mutate({ prompt: asPrompt(told), mode: 'code' } as NewTurn, { onSuccess: () => put([]) });
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
  const sorted = [...files].sort((a, b) => rank(b.path) - rank(a.path));
  return (
    <div className="space-y-4 p-4">
      {told.length > 0 && (
        <div className="sticky top-2 z-10 flex items-center gap-3 rounded-m border border-line-2 bg-raised p-2 pl-3 shadow-float">
          <span className="mr-auto text-12 text-ink-2">
            {task.state.state === 'done' ? en.comments.keptHere : en.comments.later}
          </span>
          <Button
            small
            look="main"
            disabled={task.state.state !== 'done' || turn.isPending}
            onClick={send}
          >
            {en.comments.send(told.length)}
          </Button>
        </div>
      )}
      {turn.isError && <Problem error={turn.error} />}
      {cut && <p className="text-ink-2">{en.diff.cut}</p>}
      {sorted.map((file) => (
        <File key={file.path} file={file} comments={comments} write={write} />
      ))}
    </div>
  );
}

/** What runs by itself is read first, then changed tests. */
function rank(path: string): number {
  return runsByItself(path) ? 2 : isTest(path) ? 1 : 0;
}

type At = Omit<Comment, 'text'>;

function same(one: At, other: At): boolean {
  return one.path === other.path && one.side === other.side && one.line === other.line;
}

function File({
  file,
  comments,
  write,
}: {
  file: FileChange;
  comments: Comment[];
  write: (at: At, text: string | undefined) => void;
}) {
  const count = file.hunks.reduce((sum, hunk) => sum + hunk.lines.length, 0);
  const [open, setOpen] = useState(count <= FOLD);
  const [viewed, setViewed] = useState(false);
  return (
    <section className="overflow-clip rounded-l border border-line bg-raised">
      <h3 className="flex min-h-10 items-center gap-3 border-b border-line bg-sunken px-3">
        <span className="min-w-0 truncate font-mono text-12 font-medium">{file.path}</span>
        {file.status !== 'modified' && <span className="text-12 text-ink-2">{file.status}</span>}
        {runsByItself(file.path) && (
          <span className="rounded-s bg-bad-bg px-1.5 text-12 text-bad">{en.diff.runs}</span>
        )}
        {isTest(file.path) && (
          <span className="rounded-s bg-you-bg px-1.5 text-12 text-you">{en.diff.test}</span>
        )}
        <span className="ml-auto">
          <DiffStat stat={file} />
        </span>
        <label className="flex min-h-6 items-center gap-1.5 text-12 text-ink-2">
          <input
            type="checkbox"
            className="size-4 accent-accent"
            checked={viewed}
            onChange={(event) => {
              setViewed(event.target.checked);
              setOpen(!event.target.checked);
            }}
          />
          {en.diff.viewed}
        </label>
      </h3>
      {file.binary && <p className="p-3 text-ink-2">{en.diff.binary}</p>}
      {!open && !viewed && (
        <p className="flex items-center gap-3 p-3 text-ink-2">
          {en.diff.cut}{' '}
          <Button small onClick={() => setOpen(true)}>
            {en.diff.show}
          </Button>
        </p>
      )}
      {open && (
        <div
          className="overflow-x-auto font-mono text-12/6"
          tabIndex={0}
          role="region"
          aria-label={file.path}
        >
          {file.hunks.map((hunk) => {
            const words = changedWords(hunk.lines);
            return (
              <div key={`${hunk.old_first}-${hunk.new_first}`} className="min-w-max">
                <p className="bg-sunken px-3 text-ink-3">{`@@ ${hunk.old_first} → ${hunk.new_first} ${hunk.heading}`}</p>
                {drawnLines(hunk).map((line, index) => {
                  const side = line.after === undefined ? 'before' : 'after';
                  const number = line.after ?? line.before ?? 0;
                  const at = { path: file.path, side, line: number, quote: line.text } as const;
                  return (
                    <DiffLine
                      key={line.key}
                      line={line}
                      words={words[index]}
                      comment={comments.find((one) => same(one, at))?.text}
                      write={(text) => write(at, text)}
                    />
                  );
                })}
              </div>
            );
          })}
        </div>
      )}
    </section>
  );
}
