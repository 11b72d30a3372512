// What happened, in order: phases, commands with their output, patches.
import { useEffect, useRef, useState } from 'react';
import { Button } from '../../parts/Button';
import { Empty } from '../../parts/Empty';
import { Icon } from '../../parts/Icon';
import { useNow } from '../../parts/small';
import { en } from '../../texts/en';
import { clock, took } from '../../texts/format';
import type { AttemptLog, Command, Entry } from './attemptLog';
import type { Place } from './citations';
import { LogSearch } from './LogSearch';
import { Output } from './Output';

export function LogView({
  attempt,
  log,
  cited,
  open,
  follow,
  setFollow,
}: {
  attempt: string;
  log: AttemptLog;
  cited: Place | undefined;
  open: (place: Place) => void;
  follow: boolean;
  setFollow: ((follow: boolean) => void) | undefined;
}) {
  const end = useRef<HTMLDivElement>(null);
  const count = log.entries.length;
  useEffect(() => {
    if (follow && count > 0) end.current?.scrollIntoView({ block: 'nearest' });
  }, [count, follow]);
  if (count === 0) return <Empty title={en.log.empty} />;
  const commands = log.entries.filter((one) => one.kind === 'command');
  return (
    <div role="log" aria-live="off" aria-label={en.task.tabs.log}>
      <div className="sticky top-0 z-10 flex min-h-11 items-center gap-2 border-b border-line bg-bg px-3 py-1.5">
        <LogSearch attempt={attempt} commands={commands} open={open} />
        {setFollow && (
          <Button
            small
            className="ml-auto"
            aria-pressed={follow}
            onClick={() => setFollow(!follow)}
          >
            {follow ? en.log.following : en.log.follow}
          </Button>
        )}
      </div>
      {log.entries.map((entry, index) =>
        entry.kind === 'command' ? (
          <CommandRow
            key={entry.id}
            attempt={attempt}
            entry={entry}
            cited={entry.id === cited?.chunk ? cited : undefined}
            follow={follow}
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
  follow,
  newest,
}: {
  attempt: string;
  entry: Command;
  cited: Place | undefined;
  follow: boolean;
  newest: boolean;
}) {
  const { end } = entry;
  const code = end ? String(end.exit.code ?? end.exit.signal ?? '?') : '';
  const failed = end !== undefined && code !== '0';
  const [hand, setHand] = useState<boolean | null>(null);
  const open = hand ?? (cited !== undefined || failed || (!end && newest));
  const row = useRef<HTMLElement>(null);
  const there = cited && `${cited.chunk} ${cited.first}`;
  useEffect(() => {
    if (!there) return;
    setHand(null);
    row.current?.scrollIntoView({ block: 'nearest' });
  }, [there]);
  return (
    <section
      ref={row}
      className={`scroll-mt-12 border-b border-line ${cited ? 'shadow-[inset_2px_0_0_var(--color-accent)]' : ''}`}
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
      {open && (
        <Output
          attempt={attempt}
          entry={entry}
          cited={cited && cited.first > 0 ? cited : undefined}
          follow={follow}
        />
      )}
    </section>
  );
}

function Running({ since }: { since: number }) {
  return clock(useNow() - since);
}
