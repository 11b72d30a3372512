// The smallest parts: a key, a diff's size, a line to copy, a clock that runs.
import { type ReactNode, useEffect, useState, useSyncExternalStore } from 'react';
import { useStaleSince } from '../api/stream';
import { en } from '../texts/en';
import { Button } from './Button';

export function Kbd({ children }: { children: ReactNode }) {
  return (
    <kbd className="inline-flex h-[18px] min-w-[18px] items-center justify-center rounded-s border border-current/40 px-1 font-sans text-11 max-md:hidden">
      {children}
    </kbd>
  );
}

export function DiffStat({ stat }: { stat: { added: number; removed: number } }) {
  return (
    <span className="inline-flex gap-1.5 font-mono text-12 tabular-nums">
      <span className="text-ok">+{stat.added}</span>
      <span className="text-bad">{`\u2212${stat.removed}`}</span>
    </span>
  );
}

export function CopyLine({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setCopied(true),
      () => undefined,
    );
  return (
    <div className="flex min-h-9 items-center gap-2 rounded-m border border-line-2 bg-sunken py-1 pr-1 pl-3 font-mono text-12">
      <code className="min-w-0 flex-1 select-all break-all">{text}</code>
      <Button small onClick={copy}>
        {copied ? en.copied : en.copy}
      </Button>
    </div>
  );
}

/** The one timer of the page: a second's tick for whatever shows a time. */
const ticking = new Set<() => void>();
let now = Date.now();
setInterval(() => {
  now = Date.now();
  for (const tick of ticking) tick();
}, 1000);

/** The time, by the second; it stands still while the page is behind. */
export function useNow(): number {
  const stale = useStaleSince();
  const time = useSyncExternalStore(
    (tick) => {
      ticking.add(tick);
      return () => ticking.delete(tick);
    },
    () => now,
  );
  return stale ?? time;
}

/** Sets the title of the document while it is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · ${en.name}`;
  }, [title]);
}
