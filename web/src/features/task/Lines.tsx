// Numbered lines of any length: only what is seen is drawn, and the cited ones are tinted.
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useEffect, useRef } from 'react';
import { en } from '../../texts/en';
import { pieces } from './ansi';

/** Height of a line, and most of the box before it scrolls by itself, in pixels. */
const LINE = 18;
const BOX = 504;
/** Characters of a line that are drawn. */
const WIDE = 4096;

export interface Shown {
  first: number;
  last: number;
}

export function Lines({
  count,
  line,
  seen,
  cited,
  label,
  follow = false,
  tall = false,
}: {
  count: number;
  /** The line of this number, from 1; absent while it is on its way. */
  line: (number: number) => string | undefined;
  /** Told which lines are seen. */
  seen?: (shown: Shown) => void;
  cited?: Shown | undefined;
  label: string;
  follow?: boolean;
  /** It fills what is there. */
  tall?: boolean;
}) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => box.current,
    estimateSize: () => LINE,
    overscan: 20,
    paddingStart: 8,
    paddingEnd: 8,
  });
  const items = virtual.getVirtualItems();
  const from = (items[0]?.index ?? 0) + 1;
  const to = (items.at(-1)?.index ?? 0) + 1;
  useEffect(() => seen?.({ first: from, last: to }), [from, to, seen]);
  const first = cited?.first ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: gone to once, when the lines are there.
  useEffect(() => {
    if (first > 0 && count >= first) virtual.scrollToIndex(first - 1, { align: 'center' });
  }, [first, count > 0]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: with each new line.
  useEffect(() => {
    if (follow && count > 0) virtual.scrollToIndex(count - 1, { align: 'end' });
  }, [count, follow]);
  return (
    <div
      ref={box}
      className={`relative overflow-auto bg-sunken font-mono text-12 ${tall ? 'min-h-0 flex-1' : ''}`}
      style={tall ? {} : { height: Math.min(count * LINE + 18, BOX) }}
      tabIndex={0}
      role="region"
      aria-label={label}
    >
      <div className="relative min-w-max" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const number = item.index + 1;
          const lit = cited !== undefined && number >= cited.first && number <= cited.last;
          return (
            <Line key={item.key} top={item.start} number={number} text={line(number)} lit={lit} />
          );
        })}
      </div>
    </div>
  );
}

const Line = memo(function Line({
  top,
  number,
  text,
  lit,
}: {
  top: number;
  number: number;
  text: string | undefined;
  lit: boolean;
}) {
  const more = (text?.length ?? 0) - WIDE;
  return (
    <div
      data-cited={lit ? '' : undefined}
      className={`absolute top-0 left-0 flex h-[18px] min-w-full ${lit ? 'bg-accent-bg shadow-[inset_2px_0_0_var(--color-accent)]' : ''}`}
      style={{ transform: `translateY(${top}px)` }}
    >
      <span className="w-16 shrink-0 pr-4 text-right text-ink-3 tabular-nums select-none">
        {number}
      </span>
      <span className="pr-4 whitespace-pre">
        {text === undefined
          ? ''
          : pieces(text.slice(0, WIDE)).map((one, index) => (
              <span key={index} className={one.look || undefined}>
                {one.text}
              </span>
            ))}
        {more > 0 && <span className="font-sans text-ink-3">{en.log.cutLine(more)}</span>}
      </span>
    </div>
  );
});
