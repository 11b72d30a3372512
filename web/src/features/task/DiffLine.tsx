// A line of a diff, what changed in it, and the comment that somebody leaves there.
import { useState } from 'react';
import { Button } from '../../parts/Button';
import { en } from '../../texts/en';
import type { Line } from './diff';

export function DiffLine({
  line,
  words,
  comment,
  write,
}: {
  line: Line;
  words: [number, number] | undefined;
  comment: string | undefined;
  /** Keeps the comment of this line; none removes it. */
  write: (text: string | undefined) => void;
}) {
  const [open, setOpen] = useState(comment !== undefined);
  const number = line.after ?? line.before;
  const colour = line.sign === '+' ? 'bg-ok-bg' : line.sign === '-' ? 'bg-bad-bg' : '';
  const [from, to] = words ?? [0, 0];
  return (
    <>
      <div className={`group flex h-6 ${colour}`}>
        <span className="w-11 shrink-0 pr-2 text-right text-ink-2 select-none">{line.before}</span>
        <span className="w-11 shrink-0 pr-2 text-right text-ink-2 select-none">{line.after}</span>
        {number === undefined ? (
          <span className="w-6 shrink-0" />
        ) : (
          <button
            type="button"
            aria-label={en.comments.on(number)}
            onClick={() => setOpen(true)}
            className="h-6 w-6 shrink-0 rounded-s text-ink-3 opacity-0 group-hover:opacity-100 hover:bg-accent hover:text-bg focus-visible:opacity-100"
          >
            +
          </button>
        )}
        <span
          aria-hidden="true"
          className={`w-4 shrink-0 select-none ${line.sign === '+' ? 'text-ok' : line.sign === '-' ? 'text-bad' : 'text-ink-3'}`}
        >
          {line.sign === '\\' ? '' : line.sign.trim()}
        </span>
        {(line.sign === '+' || line.sign === '-') && (
          <span className="sr-only">{line.sign === '+' ? en.diff.added : en.diff.removed}</span>
        )}
        <span className={`pr-4 whitespace-pre ${line.sign === '\\' ? 'text-ink-2 italic' : ''}`}>
          {to > from ? (
            <>
              {line.text.slice(0, from)}
              <mark
                className={`rounded-s bg-transparent text-ink underline decoration-2 underline-offset-3 ${line.sign === '+' ? 'decoration-ok' : 'decoration-bad'}`}
              >
                {line.text.slice(from, to)}
              </mark>
              {line.text.slice(to)}
            </>
          ) : (
            line.text
          )}
        </span>
      </div>
      {open && number !== undefined && (
        <div className="sticky left-0 flex w-[min(640px,100%)] flex-col gap-2 border-y border-line bg-raised p-3 font-sans">
          <textarea
            // biome-ignore lint/a11y/noAutofocus: it was asked for by the button of this line.
            autoFocus={comment === undefined}
            rows={2}
            aria-label={en.comments.on(number)}
            placeholder={en.comments.hint}
            value={comment ?? ''}
            onChange={(event) => write(event.target.value)}
            className="field-sizing-content min-h-16 rounded-m border border-control bg-bg p-2 text-13"
          />
          <div className="flex items-center justify-end gap-2 text-12 text-ink-3">
            <span className="mr-auto">{comment?.trim() ? en.comments.kept : ''}</span>
            <Button
              small
              onClick={() => {
                write(undefined);
                setOpen(false);
              }}
            >
              {en.comments.remove}
            </Button>
          </div>
        </div>
      )}
    </>
  );
}
