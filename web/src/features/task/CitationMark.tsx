// The numbered mark after a cited sentence, and the lines it stands for.
import { useEffect, useId, useRef, useState } from 'react';
import type { CheckedCitation } from '../../api/types';
import { Button } from '../../parts/Button';
import { en } from '../../texts/en';
import { linesOf, sourceOf, warning } from './citations';

/** How long a mark is pointed at before it opens, and left before it closes, in milliseconds. */
const REST_MS = 120;

export function CitationMark({
  number,
  checked,
  open,
}: {
  number: number;
  checked: CheckedCitation;
  open: (chunk: string) => void;
}) {
  const [shown, setShown] = useState(false);
  const rest = useRef<ReturnType<typeof setTimeout>>(undefined);
  const id = useId();
  const { verdict, citation } = checked;
  const bad = verdict.verdict === 'rejected';
  const later = (next: boolean) => {
    clearTimeout(rest.current);
    rest.current = setTimeout(() => setShown(next), REST_MS);
  };
  useEffect(() => () => clearTimeout(rest.current), []);
  const told = warning(checked);
  const look = bad
    ? 'border border-bad text-bad line-through'
    : 'bg-accent-bg text-accent hover:bg-accent hover:text-bg';
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: pointing and leaving; the keyboard has the button.
    <span
      className="relative inline-block"
      onMouseEnter={() => later(true)}
      onMouseLeave={() => later(false)}
    >
      <button
        type="button"
        aria-expanded={shown}
        aria-controls={shown ? id : undefined}
        aria-label={en.evidence.mark(
          number,
          en.evidence.result[verdict.verdict],
          `${sourceOf(checked)} ${linesOf(checked)}`,
        )}
        onClick={() => setShown(!shown)}
        onKeyDown={(event) => event.key === 'Escape' && setShown(false)}
        className={`mx-0.5 inline-grid h-[18px] min-w-[18px] place-items-center rounded-s px-1 align-[1px] font-sans text-11 font-semibold ${look}`}
      >
        {number}
      </button>
      {shown && (
        <span
          id={id}
          role="group"
          aria-label={sourceOf(checked)}
          className="absolute top-6 left-0 z-10 block w-[min(560px,80vw)] rounded-l border border-line-2 bg-raised text-13 shadow-float max-md:fixed max-md:inset-x-3 max-md:top-auto max-md:bottom-3 max-md:w-auto"
        >
          <span className="flex items-center gap-2 border-b border-line px-3 py-2">
            <span className="truncate font-mono text-12">{sourceOf(checked)}</span>
            <span className="ml-auto shrink-0 text-12 text-ink-3">{linesOf(checked)}</span>
          </span>
          {verdict.verdict === 'resolved' && (
            <span className="block max-h-60 overflow-auto py-1.5 font-mono text-12">
              {verdict.text.split('\n').map((line, index) => (
                <span
                  key={`${citation.lines.first + index}`}
                  className="flex border-l-2 border-accent bg-accent-bg"
                >
                  <span className="w-12 shrink-0 pr-3 text-right text-ink-3 select-none">
                    {citation.lines.first + index}
                  </span>
                  <span className="whitespace-pre">{line}</span>
                </span>
              ))}
            </span>
          )}
          <span className="flex items-center gap-2 border-t border-line px-3 py-2">
            <span className={bad ? 'text-bad' : 'text-ink-2'}>
              <strong className={bad ? '' : 'text-ok'}>
                {en.evidence.result[verdict.verdict]}
              </strong>{' '}
              {told}
            </span>
            {citation.target.chunk && !bad && (
              <Button small className="ml-auto" onClick={() => open(citation.target.chunk ?? '')}>
                {en.evidence.openLog}
              </Button>
            )}
          </span>
        </span>
      )}
    </span>
  );
}
