// Plots that this page needs: stacked bars by day, and bars by name. Each has its table.
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { Button } from '../../parts/Button';
import { Card, Table } from '../../parts/form';
import { en } from '../../texts/en';

export interface Series {
  label: string;
  colour: string;
  values: number[];
}

/** A plot, or its table. */
export function Shown({
  title,
  side,
  plot,
  columns,
  rows,
}: {
  title: string;
  side?: ReactNode;
  plot: ReactNode;
  columns: string[];
  rows: { key: string; cells: ReactNode[] }[];
}) {
  const [table, setTable] = useState(false);
  return (
    <Card
      title={title}
      side={
        <>
          {side}
          <Button small look="bare" aria-pressed={table} onClick={() => setTable(!table)}>
            {table ? en.usage.plot : en.usage.table}
          </Button>
        </>
      }
    >
      {rows.length === 0 ? (
        <p className="px-4 py-10 text-center text-ink-2">{en.usage.nothing}</p>
      ) : table ? (
        <Table label={title} columns={columns} rows={rows} />
      ) : (
        <div className="p-4">{plot}</div>
      )}
    </Card>
  );
}

/** The width that is there, so that text is never scaled. */
function useWidth() {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(480);
  useEffect(() => {
    const node = ref.current;
    if (!node) return;
    const watch = new ResizeObserver(() => setWidth(Math.max(200, node.clientWidth)));
    watch.observe(node);
    return () => watch.disconnect();
  }, []);
  return [ref, width] as const;
}

const HEIGHT = 160;
const LEFT = 44;

export function Stacked({
  label,
  days,
  series,
  format = String,
}: {
  label: string;
  days: string[];
  series: Series[];
  format?: (value: number) => string;
}) {
  const [ref, width] = useWidth();
  const sums = days.map((_, day) => series.reduce((sum, one) => sum + (one.values[day] ?? 0), 0));
  const most = niceMost(Math.max(...sums, 0));
  const step = (width - LEFT) / Math.max(days.length, 1);
  const thick = Math.min(22, step * 0.65);
  const y = (value: number) => HEIGHT - (value / most) * HEIGHT;
  const every = Math.ceil(56 / step);
  return (
    <div ref={ref}>
      <svg
        role="img"
        aria-label={label}
        width={width}
        height={HEIGHT + 30}
        className="block overflow-visible"
      >
        {[0, 0.5, 1].map((part) => (
          <g key={part} transform={`translate(0 ${8 + y(part * most)})`}>
            <line x1={LEFT} x2={width} className="stroke-line" />
            <text x={LEFT - 8} y={4} textAnchor="end" className="fill-ink-2 text-11">
              {format(part * most)}
            </text>
          </g>
        ))}
        {days.map((day, index) => {
          let from = 0;
          return (
            <g key={day} transform={`translate(${LEFT + step * (index + 0.5)} 8)`}>
              <title>{`${day}: ${format(sums[index] ?? 0)}`}</title>
              {series.map((one) => {
                const value = one.values[index] ?? 0;
                const top = y(from + value);
                const height = y(from) - top;
                from += value;
                return (
                  <rect
                    key={one.label}
                    x={-thick / 2}
                    width={thick}
                    y={top}
                    height={Math.max(0, height - (value > 0 ? 1 : 0))}
                    rx={1.5}
                    className={one.colour}
                  />
                );
              })}
              {(days.length - 1 - index) % every === 0 && (
                <text y={HEIGHT + 16} textAnchor="middle" className="fill-ink-2 text-11">
                  {shortDay(day)}
                </text>
              )}
            </g>
          );
        })}
      </svg>
      {series.length > 1 && (
        <ul className="mt-1 flex flex-wrap gap-4 text-12 text-ink-2">
          {series.map((one) => (
            <li key={one.label} className="flex items-center gap-1.5">
              <svg aria-hidden="true" width="8" height="8">
                <rect width="8" height="8" rx="2" className={one.colour} />
              </svg>
              {one.label}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** Bars by name, the longest first as given. */
export function Bars({
  label,
  rows,
  format,
}: {
  label: string;
  rows: { name: string; value: number }[];
  format: (value: number) => string;
}) {
  const most = Math.max(...rows.map((row) => row.value), 1);
  return (
    <ul aria-label={label} className="grid gap-2">
      {rows.slice(0, 8).map((row) => (
        <li key={row.name} className="grid grid-cols-[minmax(0,140px)_1fr] items-center gap-3">
          <span className="truncate text-12" title={row.name}>
            {row.name}
          </span>
          <span className="flex items-center gap-2">
            <span
              className="h-2.5 min-w-0.5 rounded-s bg-ink-3"
              style={{ width: `${(row.value / most) * 75}%` }}
            />
            <span className="text-12 text-ink-2 tabular-nums">{format(row.value)}</span>
          </span>
        </li>
      ))}
    </ul>
  );
}

/** The next of 1, 2, 5, 10, 20 … that two lines can halve. */
export function niceMost(value: number): number {
  if (value <= 2) return 2;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((times) => times * power).find((top) => top >= value) ?? value;
}

function shortDay(day: string): string {
  return new Date(`${day}T12:00:00Z`).toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'short',
    timeZone: 'UTC',
  });
}
