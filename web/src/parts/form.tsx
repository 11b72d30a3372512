// What forms are made of: a field with its label and help, a card, a table.
import { type InputHTMLAttributes, type ReactNode, useId } from 'react';
import { en } from '../texts/en';

export const box =
  'h-8 w-full min-w-0 rounded-m border border-control bg-raised px-2.5 max-md:h-9 placeholder:text-ink-3';

/** A label around its control, with what helps below. */
export function Labelled({
  label,
  help,
  helpId,
  children,
  className = '',
}: {
  label: string;
  help?: string | undefined;
  /** What the control names as its description. */
  helpId?: string;
  children: ReactNode;
  className?: string;
}) {
  return (
    <div className={className}>
      {/* biome-ignore lint/a11y/noLabelWithoutControl: the control is given as a child. */}
      <label className="block">
        <span className="mb-1 block font-medium">{label}</span>
        {children}
      </label>
      {help && (
        <p id={helpId} className="mt-1 text-12 text-ink-2">
          {help}
        </p>
      )}
    </div>
  );
}

interface InputProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  help?: string;
  /** Told with each change. */
  put: (value: string) => void;
  wide?: string;
}

export function Input({ label, help, put, wide = '', className = '', ...rest }: InputProps) {
  const id = useId();
  return (
    <Labelled label={label} help={help} helpId={id} className={wide}>
      <input
        aria-describedby={help ? id : undefined}
        className={`${box} ${className}`}
        onChange={(event) => put(event.target.value)}
        autoComplete="off"
        {...rest}
      />
    </Labelled>
  );
}

/** A framed part of a page with its heading. */
export function Card({
  title,
  side,
  children,
}: {
  title: string;
  side?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section className="mb-4 min-w-0 rounded-l border border-line bg-raised">
      <div className="flex min-h-11 flex-wrap items-center gap-2 border-b border-line px-4 py-1.5">
        <h2 className="text-14 font-semibold">{title}</h2>
        <div className="ml-auto flex items-center gap-2 text-12 text-ink-2">{side}</div>
      </div>
      {children}
    </section>
  );
}

export type Cell = ReactNode;

/** A plain table. Columns whose name begins with `>` are of numbers. It scrolls in its own box. */
export function Table({
  label,
  columns,
  rows,
}: {
  label: string;
  columns: string[];
  rows: { key: string; cells: Cell[] }[];
}) {
  const right = (index: number) => (columns[index]?.startsWith('>') ? 'text-right' : 'text-left');
  return (
    <section className="overflow-x-auto" aria-label={label} tabIndex={0}>
      <table className="w-full tabular-nums">
        <thead className="bg-sunken text-12 text-ink-2">
          <tr>
            {columns.map((column, index) => (
              <th
                key={column}
                scope="col"
                className={`px-4 py-1.5 font-medium whitespace-nowrap ${right(index)}`}
              >
                {column.replace('>', '')}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.length === 0 && (
            <tr>
              <td colSpan={columns.length} className="px-4 py-6 text-center text-ink-2">
                {en.noRows}
              </td>
            </tr>
          )}
          {rows.map((row) => (
            <tr key={row.key} className="border-t border-line">
              {row.cells.map((cell, index) => (
                <td key={index} className={`px-4 py-2 ${right(index)}`}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
