// A task in the list: where it stands, what happens now, and the figures.
import { Link } from '@tanstack/react-router';
import { memo } from 'react';
import type { TaskSummary } from '../../api/types';
import { groupOf, StateMark, stateWord } from '../../parts/StateMark';
import { DiffStat, useNow } from '../../parts/small';
import { en } from '../../texts/en';
import { ago, clock, money, repositoryName } from '../../texts/format';

/** The one line that says what happens now, or why not. */
export function lineOf(task: TaskSummary): string {
  const { state } = task;
  const first = task.attempts[0];
  switch (state.state) {
    case 'queued': {
      const place = Math.min(
        ...task.attempts.map((attempt) => attempt.queue_place ?? Number.POSITIVE_INFINITY),
      );
      return Number.isFinite(place) && place > 0 ? en.line.place(place) : en.line.waits;
    }
    case 'preparing':
      return en.line.preparing;
    case 'working':
      return en.line.working(
        task.attempts.reduce((sum, attempt) => sum + attempt.spent.model_calls, 0),
      );
    case 'waiting_for_user':
      return en.line.question;
    case 'waiting_for_approval':
      return en.line.plan;
    case 'suspended':
      return en.suspended[state.reason?.why ?? ''] ?? stateWord(state);
    default: {
      if (state.outcome?.outcome === 'failed') return state.outcome.detail ?? stateWord(state);
      const run = first?.result?.checks_run ?? 0;
      const word = stateWord(state);
      return run > 0 ? `${word} · ${en.line.checks(first?.result?.checks_passed ?? 0, run)}` : word;
    }
  }
}

export const TaskRow = memo(function TaskRow({
  task,
  selected,
  away,
}: {
  task: TaskSummary;
  selected: boolean;
  away: () => void;
}) {
  const group = groupOf(task.state);
  const cost = task.attempts.reduce((sum, attempt) => sum + attempt.spent.cost, 0);
  const stat = task.attempts.find((attempt) => attempt.result?.diff_stat)?.result?.diff_stat;
  const bad = task.state.outcome?.outcome === 'failed';
  return (
    <div
      data-task={task.task}
      className={`group flex h-14 items-center gap-3 border-b border-line px-3 hover:bg-hover ${selected ? 'bg-accent-bg shadow-[inset_2px_0_0_var(--color-accent)]' : ''}`}
    >
      <StateMark state={task.state} />
      <Link to="/tasks/$task" params={{ task: String(task.task) }} className="min-w-0 flex-1 py-2">
        <span className="flex items-center gap-2">
          <span
            className={`truncate text-14 font-medium ${group === 'queued' ? 'text-ink-2' : ''}`}
          >
            {task.title || en.prompt.verbs.review}
          </span>
          {task.mode !== 'code' && (
            <span className="shrink-0 rounded-s border border-line bg-sunken px-1.5 text-12 text-ink-2">
              {en.prompt.verbs[task.mode as 'ask'] ?? task.mode}
            </span>
          )}
          {task.attempts.length > 1 && (
            <span className="shrink-0 rounded-s border border-line bg-sunken px-1.5 text-12 text-ink-2">
              {en.prompt.attempts(task.attempts.length)}
            </span>
          )}
        </span>
        <span className="block truncate text-12 text-ink-3">
          <span className={bad ? 'text-bad' : 'text-ink-2'}>{lineOf(task)}</span> ·{' '}
          {repositoryName(task.repository)} #{task.task}
        </span>
      </Link>
      {group === 'done' && (
        <button
          type="button"
          onClick={away}
          className="rounded-m px-2 py-1 text-12 text-ink-2 opacity-0 group-hover:opacity-100 hover:bg-pressed focus-visible:opacity-100 max-md:hidden"
        >
          {en.list.archive}
        </button>
      )}
      <span className="w-24 text-right max-sm:hidden">{stat && <DiffStat stat={stat} />}</span>
      <span className="w-14 text-right text-12 text-ink-2 tabular-nums max-sm:hidden">
        {money(cost)}
      </span>
      <span
        className="w-14 text-right text-12 whitespace-nowrap text-ink-2 tabular-nums"
        title={new Date(task.updated_at).toLocaleString()}
      >
        <Elapsed task={task} />
      </span>
    </div>
  );
});

function Elapsed({ task }: { task: TaskSummary }) {
  const now = useNow();
  const group = groupOf(task.state);
  return group === 'working' ? clock(now - task.updated_at) : ago(task.updated_at, now);
}
