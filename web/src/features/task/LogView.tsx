// What happened, in order: phases, commands with their output, patches.
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import type { OutputLines } from '../../api/types';
import { Empty } from '../../parts/Empty';
import { Icon } from '../../parts/Icon';
import { Problem } from '../../parts/Problem';
import { useNow } from '../../parts/small';
import { en } from '../../texts/en';
import { clock, took } from '../../texts/format';
import type { AttemptLog, Command, Entry } from './attemptLog';

/** Lines of an output that are shown in place; the rest is behind the raw output. */
const MOST_LINES = 1000;

export function LogView({
  attempt,
  log,
  chunk,
  follow,
}: {
  attempt: string;
  log: AttemptLog;
  chunk: string | undefined;
  follow: boolean;
}) {
  const end = useRef<HTMLDivElement>(null);
  const count = log.entries.length;
  useEffect(() => {
    if (follow && count > 0) end.current?.scrollIntoView({ block: 'nearest' });
  }, [count, follow]);
  if (count === 0) return <Empty title={en.log.empty} />;
  return (
    <div role="log" aria-live="off" aria-label={en.task.tabs.log}>
      {log.entries.map((entry, index) =>
        entry.kind === 'command' ? (
          <CommandRow
            key={entry.id}
            attempt={attempt}
            entry={entry}
            cited={entry.id === chunk}
            newest={index === count - 1}
          />
        ) : (
          <Plain key={entry.id} entry={entry} />
        ),
      )}
      <div ref={end} />
    </div>
  );
}

function Plain({ entry }: { entry: Exclude<Entry, Command> }) {
  const phase = entry.kind === 'phase';
  const failed = phase
    ? entry.end?.failed
    : entry.what === 'denied' || entry.what === 'patchRejected';
  const title = phase ? (en.task.phases[entry.phase] ?? entry.phase) : en.log[entry.what];
  return (
    <div className="flex min-h-9 items-center gap-2.5 border-b border-line py-1.5 pr-4 pl-9">
      <span className={failed ? 'text-bad' : 'text-ink-2'}>
        <Icon name={failed ? 'cross' : phase && !entry.end ? 'clock' : 'check'} />
      </span>
      <span className="shrink-0 font-medium">{title}</span>
      <span
        className="min-w-0 flex-1 truncate text-12 text-ink-2"
        title={phase ? entry.end?.detail : entry.text}
      >
        {phase ? entry.end?.detail : entry.text}
      </span>
      {phase && entry.end && (
        <span className="text-12 text-ink-3 tabular-nums">{took(entry.end.ms)}</span>
      )}
    </div>
  );
}

function CommandRow({
  attempt,
  entry,
  cited,
  newest,
}: {
  attempt: string;
  entry: Command;
  cited: boolean;
  newest: boolean;
}) {
  const { end } = entry;
  const code = end ? String(end.exit.code ?? end.exit.signal ?? '?') : '';
  const failed = end !== undefined && code !== '0';
  const [hand, setHand] = useState<boolean | null>(null);
  const open = hand ?? (cited || failed || (!end && newest));
  const row = useRef<HTMLElement>(null);
  useEffect(() => {
    if (cited) row.current?.scrollIntoView({ block: 'center' });
  }, [cited]);
  return (
    <section
      ref={row}
      className={`border-b border-line ${cited ? 'shadow-[inset_2px_0_0_var(--color-accent)]' : ''}`}
    >
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setHand(!open)}
        className="flex min-h-9 w-full items-center gap-2.5 py-1.5 pr-4 pl-3 text-left hover:bg-hover"
      >
        <span className={`text-ink-3 ${open ? 'rotate-90' : ''}`}>
          <Icon name="right" small />
        </span>
        <span className={failed ? 'text-bad' : end ? 'text-ink-2' : 'text-live'}>
          <Icon name={failed ? 'cross' : end ? 'check' : 'terminal'} />
        </span>
        <code className="min-w-0 flex-1 truncate font-mono text-12">{entry.command}</code>
        {failed && (
          <span className="rounded-s bg-bad-bg px-1.5 text-12 text-bad">{en.log.exit(code)}</span>
        )}
        {!end && (
          <span className="rounded-s bg-live-bg px-1.5 text-12 text-live">{en.log.running}</span>
        )}
        <span className="font-mono text-12 text-ink-3 max-sm:hidden">{entry.id}</span>
        <span className="w-20 text-right text-12 text-ink-3 tabular-nums max-sm:hidden">
          {end && en.log.lines(end.lines)}
        </span>
        <span className="w-16 text-right text-12 text-ink-3 tabular-nums">
          {end ? took(end.ms) : <Running since={entry.at} />}
        </span>
      </button>
      {open && <Output attempt={attempt} entry={entry} />}
    </section>
  );
}

function Running({ since }: { since: number }) {
  return clock(useNow() - since);
}

function Output({ attempt, entry }: { attempt: string; entry: Command }) {
  const path = `/attempts/${attempt}/outputs/${entry.id}`;
  const running = entry.end === undefined;
  const lines = useQuery({
    queryKey: [...keys.lines(attempt, entry.id), running],
    queryFn: ({ signal }) =>
      ask<OutputLines>(`${path}/lines`, {
        query: { first: 1, last: MOST_LINES, rendered: true },
        signal,
      }),
    staleTime: running ? 0 : Number.POSITIVE_INFINITY,
    refetchInterval: running ? 1000 : false,
    placeholderData: (before) => before,
  });
  if (lines.isError)
    return (
      <div className="p-3">
        <Problem error={lines.error} />
      </div>
    );
  const more = (lines.data?.count ?? 0) - (lines.data?.lines.length ?? 0);
  return (
    <div
      className="overflow-x-auto bg-sunken py-2 font-mono text-12"
      tabIndex={0}
      role="region"
      aria-label={entry.command}
    >
      {lines.data?.lines.map((line, index) => (
        <div key={index} className="flex h-[18px]">
          <span className="w-14 shrink-0 pr-4 text-right text-ink-3 select-none">
            {lines.data.first + index}
          </span>
          <span className="whitespace-pre">{line.slice(0, 4096)}</span>
        </div>
      ))}
      {lines.data?.count === 0 && <p className="pl-14 text-ink-3">{en.log.noOutput}</p>}
      <p className="flex gap-3 pt-1 pl-14 font-sans text-ink-3">
        {more > 0 && en.log.moreLines(more)}
        {entry.end?.by && en.log.ended[entry.end.by]}
        <a className="text-accent underline" href={`/api/v1${path}/raw`}>
          {en.log.raw}
        </a>
      </p>
    </div>
  );
}
