// One task: what was said on the left, what happened on the right.
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { useTask } from '../../api/tasks';
import { Button } from '../../parts/Button';
import { Skeleton } from '../../parts/Empty';
import { Problem } from '../../parts/Problem';
import { useTitle } from '../../parts/small';
import { type Tab, tabs } from '../../router';
import { useKeys } from '../../shell/keys';
import { en } from '../../texts/en';
import { AttemptsView } from './AttemptsView';
import { emptyLog } from './attemptLog';
import { ChecksView } from './ChecksView';
import { Composer } from './Composer';
import { Conversation } from './Conversation';
import { type Place, readLines } from './citations';
import { DiffView } from './DiffView';
import { EvidenceView } from './EvidenceView';
import { FilesView } from './FilesView';
import { LogView } from './LogView';
import { TaskHeader } from './TaskHeader';
import { useAttemptLogs } from './useAttemptLog';

export function TaskPage() {
  const number = Number(useParams({ from: '/tasks/$task' }).task);
  const search = useSearch({ from: '/tasks/$task' });
  const navigate = useNavigate({ from: '/tasks/$task' });
  const task = useTask(number);
  const logs = useAttemptLogs(number);
  const [follow, setFollow] = useState(true);
  const [talk, setTalk] = useState(search.tab === undefined);
  useTitle(task.data?.title ?? `#${number}`);
  const go = (tab: Tab, place?: Place) => {
    setTalk(false);
    navigate({
      search: (before) => ({
        ...(before.attempt ? { attempt: before.attempt } : {}),
        tab,
        ...(place?.chunk ? { chunk: place.chunk } : {}),
        ...(place?.file ? { file: place.file } : {}),
        ...(place && place.first > 0 ? { lines: `${place.first}-${place.last}` } : {}),
      }),
      replace: true,
    });
  };
  useKeys({
    '1': () => go('log'),
    '2': () => go('diff'),
    '3': () => go('evidence'),
    '4': () => go('checks'),
    '5': () => go('files'),
    l: () => setFollow(!follow),
    m: () => document.getElementById('composer')?.focus(),
    J: () =>
      void navigate({ to: '/tasks/$task', params: { task: String(Math.max(1, number - 1)) } }),
    K: () => void navigate({ to: '/tasks/$task', params: { task: String(number + 1) } }),
    Escape: () => (search.lines ? go(search.tab ?? 'log') : void navigate({ to: '/' })),
  });
  if (task.isError)
    return (
      <div className="mx-auto w-full max-w-2xl p-6">
        <Problem error={task.error} again={() => void task.refetch()} />
      </div>
    );
  if (task.isPending) return <Skeleton rows={8} height={36} />;
  const chosen = search.attempt ?? task.data.history.at(-1)?.chosen ?? 1;
  const attempt = task.data.attempts.find((one) => one.attempt === chosen) ?? task.data.attempts[0];
  if (!attempt) return null;
  const log = logs[attempt.id] ?? emptyLog;
  const ended = attempt.state.state === 'done';
  const tab = search.tab ?? (ended && log.answer ? 'evidence' : 'log');
  const open = (place: Place) => go(place.chunk ? 'log' : 'files', place);
  const lines = readLines(search.lines);
  const counts: Partial<Record<Tab, number>> = {
    log: log.entries.filter((one) => one.kind === 'command').length,
    evidence: log.citations.length,
    checks: attempt.result?.checks_run ?? 0,
    diff: attempt.result?.diff_stat?.files ?? 0,
  };
  return (
    <div data-fills="" className="flex min-h-0 flex-1 flex-col">
      <TaskHeader task={task.data} attempt={attempt} />
      <div className="grid min-h-0 flex-1 grid-rows-[minmax(0,1fr)_auto] md:grid-cols-[2fr_3fr] md:grid-rows-[minmax(0,1fr)]">
        <div
          className={`min-h-0 flex-col border-r border-line md:flex ${talk ? 'flex' : 'hidden'}`}
        >
          <section
            className="relative min-h-0 flex-1 overflow-y-auto"
            aria-label={en.task.conversation}
            tabIndex={0}
          >
            <Conversation task={task.data} attempt={attempt.id} log={log} open={open} />
          </section>
          <Composer key={attempt.id} task={task.data} plan={log.answer} />
        </div>
        <div className={`min-h-0 min-w-0 flex-col md:flex ${talk ? 'max-md:hidden' : 'flex'}`}>
          <div
            className="flex items-center gap-1 overflow-x-auto border-b border-line px-3"
            role="tablist"
            aria-label={en.task.tabsLabel}
          >
            {tabs
              .filter((one) => one !== 'attempts' || task.data.attempts.length > 1)
              .map((one) => (
                <button
                  key={one}
                  type="button"
                  role="tab"
                  aria-selected={tab === one}
                  aria-controls="tab"
                  onClick={() => go(one)}
                  className="h-10 border-b-2 border-transparent px-2.5 font-medium text-ink-2 aria-selected:border-ink aria-selected:text-ink"
                >
                  {en.task.tabs[one]}{' '}
                  {(counts[one] ?? 0) > 0 && (
                    <span className="text-12 font-normal text-ink-3">{counts[one]}</span>
                  )}
                </button>
              ))}
          </div>
          <div
            id="tab"
            role="tabpanel"
            aria-label={en.task.tabs[tab]}
            tabIndex={0}
            onWheel={(event) => event.deltaY < 0 && setFollow(false)}
            className="relative min-h-0 flex-1 overflow-y-auto"
          >
            {tab === 'log' && (
              <LogView
                attempt={attempt.id}
                log={log}
                cited={search.chunk ? { chunk: search.chunk, ...lines } : undefined}
                open={open}
                follow={follow && !ended && !search.chunk}
                setFollow={ended ? undefined : setFollow}
              />
            )}
            {tab === 'diff' && (
              <DiffView key={number} attempt={attempt.id} ended={ended} task={task.data} />
            )}
            {tab === 'evidence' && (
              <EvidenceView
                attempt={attempt.id}
                task={task.data}
                citations={log.citations}
                events={log.seq}
              />
            )}
            {tab === 'checks' && (
              <ChecksView
                attempt={attempt.id}
                open={(chunk) => open({ chunk, first: 0, last: 0 })}
              />
            )}
            {tab === 'attempts' && (
              <AttemptsView
                task={task.data}
                show={(attempt) => void navigate({ search: { attempt, tab: 'evidence' } })}
              />
            )}
            {tab === 'files' && (
              <FilesView
                attempt={attempt.id}
                citations={log.citations}
                ended={ended}
                file={search.file}
                {...lines}
                open={open}
              />
            )}
          </div>
        </div>
        <div className="sticky bottom-0 flex border-t border-line bg-bg p-2 md:hidden">
          <Button className="flex-1" onClick={() => setTalk(!talk)}>
            {talk ? en.task.tabs[tab] : en.task.conversation}
          </Button>
        </div>
      </div>
    </div>
  );
}
