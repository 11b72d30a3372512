// A place where nothing is yet, and what brings something there.
import type { ReactNode } from 'react';

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="px-6 py-12 text-center text-ink-3">
      <p className="text-14 font-semibold text-ink">{title}</p>
      {children && <div className="mx-auto mt-1 max-w-md">{children}</div>}
    </div>
  );
}

/** Bars of the height of what comes, so that nothing moves when it does. */
export function Skeleton({ rows, height }: { rows: number; height: 36 | 56 }) {
  const bars = Array.from({ length: rows }, (_, index) => index);
  return (
    <div aria-hidden="true">
      {bars.map((bar) => (
        <div
          key={bar}
          className={`flex items-center border-b border-line px-3 ${height === 56 ? 'h-14' : 'h-9'}`}
        >
          <span className="h-3 w-2/5 rounded-s bg-pressed" />
        </div>
      ))}
    </div>
  );
}
