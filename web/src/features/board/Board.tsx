// The tasks in four columns by state, live. Nothing is dragged: a state is not a wish.
import { Link, useNavigate } from '@tanstack/react-router';
import { useEffect, useMemo, useState } from 'react';
import { useTasks } from '../../api/tasks';
import type { TaskSummary } from '../../api/types';
import { Empty, Skeleton } from '../../parts/Empty';
import { Problem } from '../../parts/Problem';
import { type Group, StateMark, stateWord } from '../../parts/StateMark';
import { DiffStat, useNow, useTitle } from '../../parts/small';
import { useKeys } from '../../shell/keys';
import { en } from '../../texts/en';
import { ago, money, repositoryName } from '../../texts/format';
import { columns, columnsOf, MOST_DONE, step } from './columns';

export function Board() {
  useTitle(en.board.title);
  const tasks = useTasks();
  const navigate = useNavigate();
  const [selected, setSelected] = useState<number | null>(null);
  const board = useMemo(() => columnsOf(tasks.data?.tasks ?? []), [tasks.data]);
  const move = (across: number, down: number) => setSelected(step(board, selected, across, down));
  useEffect(() => {
    if (selected !== null) document.getElementById(`card-${selected}`)?.focus();
  }, [selected]);
  useKeys({
    j: () => move(0, 1),
    k: () => move(0, -1),
    h: () => move(-1, 0),
    l: () => move(1, 0),
    ArrowDown: () => move(0, 1),
    ArrowUp: () => move(0, -1),
    ArrowLeft: () => move(-1, 0),
    ArrowRight: () => move(1, 0),
    Enter: () =>
      selected !== null &&
      void navigate({ to: '/tasks/$task', params: { task: String(selected) } }),
    Escape: () => setSelected(null),
  });
  return (
    <div className="flex min-h-0 w-full flex-1 flex-col px-6 pt-5 pb-6 max-sm:px-3">
      <div className="mb-3 flex items-center gap-3">
        <h1 className="text-20 font-semibold">{en.board.title}</h1>
        <Link to="/" className="ml-auto text-accent underline">
          {en.board.list}
        </Link>
      </div>
      {tasks.isError && <Problem error={tasks.error} again={() => void tasks.refetch()} />}
      {tasks.isSuccess && tasks.data.tasks.length === 0 && (
        <Empty title={en.list.empty}>{en.board.empty}</Empty>
      )}
      <div className="grid flex-1 grid-cols-4 gap-3 max-md:snap-x max-md:snap-mandatory max-md:auto-cols-[86%] max-md:grid-flow-col max-md:grid-cols-none max-md:overflow-x-auto">
        {columns.map((group) => (
          <Column
            key={group}
            group={group}
            cards={board[group]}
            pending={tasks.isPending}
            selected={selected}
          />
        ))}
      </div>
    </div>
  );
}

function Column({
  group,
  cards,
  pending,
  selected,
}: {
  group: Group;
  cards: TaskSummary[];
  pending: boolean;
  selected: number | null;
}) {
  const shown = group === 'done' ? cards.slice(0, MOST_DONE) : cards;
  return (
    <section
      aria-label={en.list[group]}
      className={`min-w-0 snap-start rounded-l bg-sunken p-2 ${cards.length === 0 && !pending ? 'max-md:hidden' : ''}`}
    >
      <h2 className="px-1.5 pt-1 pb-2.5 font-semibold">
        {en.list[group]} <span className="font-normal text-ink-2 tabular-nums">{cards.length}</span>
      </h2>
      {pending && <Skeleton rows={3} height={56} />}
      <ul className="flex flex-col gap-2">
        {shown.map((task) => (
          <Card key={task.id} task={task} selected={task.task === selected} />
        ))}
      </ul>
      {shown.length < cards.length && (
        <p className="p-2 text-12 text-ink-2">{en.board.more(cards.length - shown.length)}</p>
      )}
    </section>
  );
}

function Card({ task, selected }: { task: TaskSummary; selected: boolean }) {
  const now = useNow();
  const result = task.attempts.find((attempt) => attempt.result)?.result;
  const cost = task.attempts.reduce((sum, attempt) => sum + attempt.spent.cost, 0);
  const run = result?.checks_run ?? 0;
  const passed = result?.checks_passed ?? 0;
  return (
    <li>
      <Link
        id={`card-${task.task}`}
        to="/tasks/$task"
        params={{ task: String(task.task) }}
        className={`block rounded-m border bg-raised p-3 hover:bg-hover ${selected ? 'border-accent' : 'border-line'}`}
      >
        <span className="flex gap-2">
          <span className="mt-0.5">
            <StateMark state={task.state} />
          </span>
          <span className="line-clamp-3 min-w-0 font-medium break-words">{task.title}</span>
        </span>
        <span className="mt-1.5 flex flex-wrap items-center gap-x-2 text-12 text-ink-2">
          {stateWord(task.state)}
          {run > 0 && (
            <span className={passed === run ? 'text-ok' : 'text-bad'}>
              {en.line.checks(passed, run)}
            </span>
          )}
          {result?.diff_stat && (
            <span className="ml-auto">
              <DiffStat stat={result.diff_stat} />
            </span>
          )}
        </span>
        <span className="mt-1 flex gap-2 text-12 text-ink-2 tabular-nums">
          <span className="min-w-0 truncate">
            {repositoryName(task.repository)} #{task.task}
          </span>
          <span className="ml-auto">{money(cost)}</span>
          <span>{ago(task.updated_at, now)}</span>
        </span>
      </Link>
    </li>
  );
}
