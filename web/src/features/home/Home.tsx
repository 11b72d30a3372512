// Hand out work, and see all of it.
import { useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef, useState } from 'react';
import { keys } from '../../api/keys';
import { archive, useTasks } from '../../api/tasks';
import { Button } from '../../parts/Button';
import { Empty, Skeleton } from '../../parts/Empty';
import { Icon } from '../../parts/Icon';
import { Problem } from '../../parts/Problem';
import type { Group } from '../../parts/StateMark';
import { Kbd, useTitle } from '../../parts/small';
import { useKeys } from '../../shell/keys';
import { en } from '../../texts/en';
import { counts, fitting, order, type Row, rowsOf } from './groups';
import { PromptBox } from './PromptBox';
import { TaskRow } from './TaskRow';

export function Home() {
  useTitle(en.nav.tasks);
  const client = useQueryClient();
  const navigate = useNavigate();
  const tasks = useTasks();
  const [only, setOnly] = useState<Group | null>(null);
  const [text, setText] = useState('');
  const [selected, setSelected] = useState<number | null>(null);
  const [gone, setGone] = useState<number[]>([]);
  const search = useRef<HTMLInputElement>(null);
  const shown = useMemo(
    () =>
      fitting(
        (tasks.data?.tasks ?? []).filter((task) => !gone.includes(task.task)),
        text,
      ),
    [tasks.data, text, gone],
  );
  const rows = useMemo(() => rowsOf(shown, only), [shown, only]);
  const count = counts(shown);
  const flat = rows.flatMap((row) => (row.kind === 'task' ? [row.task.task] : []));
  const move = (by: number) => {
    const at = selected === null ? -1 : flat.indexOf(selected);
    setSelected(flat[Math.min(Math.max(at + by, 0), flat.length - 1)] ?? null);
  };
  const away = (number: number) => {
    setGone((before) => [...before, number]);
    archive(number, true).catch(() => setGone((before) => before.filter((one) => one !== number)));
  };
  const undo = () => {
    const last = gone.at(-1);
    if (last === undefined) return;
    archive(last, false)
      .then(() => setGone((before) => before.filter((one) => one !== last)))
      .finally(() => client.invalidateQueries({ queryKey: keys.tasks() }));
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    f: () => search.current?.focus(),
    e: () => selected !== null && away(selected),
    'mod+z': undo,
    Enter: () =>
      selected !== null &&
      void navigate({ to: '/tasks/$task', params: { task: String(selected) } }),
    Escape: () => setSelected(null),
  });
  const chips: [Group | null, string, number][] = [
    [null, en.list.all, shown.length],
    ...order.map((group) => [group, en.list[group], count[group]] as [Group, string, number]),
  ];
  return (
    <div className="mx-auto w-full max-w-[1184px] px-6 pt-8 pb-24 max-sm:px-3 max-sm:pt-4">
      <h1 className="sr-only">{en.nav.tasks}</h1>
      <PromptBox />
      <div className="mt-5 mb-2 flex flex-wrap items-center gap-2">
        <div className="flex max-w-full gap-0.5 overflow-x-auto">
          {chips.map(([group, label, number]) => (
            <button
              key={label}
              type="button"
              aria-pressed={only === group}
              onClick={() => setOnly(group)}
              className="flex h-7 shrink-0 items-center gap-1.5 rounded-m px-2.5 font-medium text-ink-2 hover:bg-hover aria-pressed:bg-pressed aria-pressed:text-ink max-md:h-9"
            >
              {label}
              <span
                className={`text-12 tabular-nums ${group === 'you' && number > 0 ? 'font-semibold text-you' : 'text-ink-2'}`}
              >
                {number}
              </span>
            </button>
          ))}
        </div>
        <label className="ml-auto flex h-7 w-60 items-center gap-2 rounded-m border border-line-2 bg-raised px-2 text-ink-3 max-sm:h-9 max-sm:w-full">
          <Icon name="search" />
          <input
            ref={search}
            type="search"
            aria-label={en.list.search}
            placeholder={en.list.search}
            value={text}
            onChange={(event) => setText(event.target.value)}
            className="min-w-0 flex-1 bg-transparent text-ink outline-none placeholder:text-ink-3"
          />
          <Kbd>F</Kbd>
        </label>
      </div>
      {gone.length > 0 && (
        <p role="status" className="flex items-center gap-3 py-1 text-12 text-ink-2">
          {en.list.archived(gone.at(-1) ?? 0)}
          <Button small onClick={undo}>
            {en.undo}
          </Button>
        </p>
      )}
      {tasks.isError && <Problem error={tasks.error} again={() => void tasks.refetch()} />}
      <div className="border-t border-line">
        {tasks.isPending && <Skeleton rows={6} height={56} />}
        {tasks.isSuccess &&
          rows.length === 0 &&
          (text || only ? (
            <Empty title={en.list.nothing} />
          ) : (
            <Empty title={en.list.empty}>
              {en.list.emptyHint}{' '}
              <Link to="/start" className="text-accent underline">
                {en.start.title}
              </Link>
            </Empty>
          ))}
        <Rows rows={rows} selected={selected} away={away} />
      </div>
    </div>
  );
}

/** Heights of a head and a row, in pixels. */
const HEIGHT = { head: 36, task: 56 };

function Rows({
  rows,
  selected,
  away,
}: {
  rows: Row[];
  selected: number | null;
  away: (task: number) => void;
}) {
  const list = useRef<HTMLDivElement>(null);
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: (index) => HEIGHT[rows[index]?.kind ?? 'task'],
    getItemKey: (index) => {
      const row = rows[index];
      return row?.kind === 'task' ? row.task.id : (row?.group ?? index);
    },
    overscan: 10,
    scrollMargin: list.current?.offsetTop ?? 0,
  });
  return (
    <div ref={list} className="relative" style={{ height: virtual.getTotalSize() }}>
      {virtual.getVirtualItems().map((item) => {
        const row = rows[item.index];
        if (!row) return null;
        return (
          <div
            key={item.key}
            className="absolute inset-x-0 top-0"
            style={{ transform: `translateY(${item.start - virtual.options.scrollMargin}px)` }}
          >
            {row.kind === 'head' ? (
              <h2 className="flex h-9 items-center gap-2 border-b border-line bg-sunken px-3 text-12 font-semibold text-ink-2">
                {en.list[row.group]} <span className="font-normal tabular-nums">{row.count}</span>
              </h2>
            ) : (
              <TaskRow
                task={row.task}
                selected={row.task.task === selected}
                away={() => away(row.task.task)}
              />
            )}
          </div>
        );
      })}
    </div>
  );
}
