// The numbered mark after a cited sentence, and the lines it stands for.
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'react';
import type { CheckedCitation } from '../../api/types';
import { Button } from '../../parts/Button';
import { en } from '../../texts/en';
import { linesOf, type Place, placeOf, sourceOf, warning } from './citations';

/** How long a mark is pointed at before it opens, and left before it closes, in milliseconds. */
const REST_MS = 120;

/** Puts the card below the mark, or above it where there is no room; on phones at the bottom. */
function put(card: HTMLElement, mark: HTMLElement): void {
  card.showPopover();
  const at = mark.getBoundingClientRect();
  const { width, height } = card.getBoundingClientRect();
  const phone = innerWidth < 900;
  const below = at.bottom + 4;
  const top = phone
    ? innerHeight - height - 12
    : below + height < innerHeight - 8
      ? below
      : Math.max(8, at.top - height - 4);
  const left = phone ? 12 : Math.max(12, Math.min(at.left, innerWidth - width - 12));
  card.style.top = `${top}px`;
  card.style.left = `${left}px`;
}

export function CitationMark({
  number,
  checked,
  open,
}: {
  number: number;
  checked: CheckedCitation;
  open: (place: Place) => void;
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
  const mark = useRef<HTMLSpanElement>(null);
  const card = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    if (shown && mark.current && card.current) put(card.current, mark.current);
  }, [shown]);
  useEffect(() => {
    if (!shown) return;
    const away = (event: Event) => {
      if (
        event instanceof KeyboardEvent
          ? event.key === 'Escape'
          : !card.current?.contains(event.target as Node)
      )
        setShown(false);
    };
    addEventListener('scroll', away, true);
    addEventListener('keydown', away);
    return () => {
      removeEventListener('scroll', away, true);
      removeEventListener('keydown', away);
    };
  }, [shown]);
  const told = warning(checked);
  const look = bad
    ? 'border border-bad text-bad line-through'
    : 'bg-accent-bg text-accent hover:bg-accent hover:text-bg';
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: pointing and leaving; the keyboard has the button.
    <span
      ref={mark}
      className="inline-block"
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
          ref={card}
          id={id}
          popover="manual"
          role="group"
          aria-label={sourceOf(checked)}
          className="fixed inset-auto m-0 block w-[min(560px,calc(100vw-24px))] overflow-hidden rounded-l border border-line-2 bg-raised p-0 text-left text-13 font-normal text-ink shadow-float"
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
            {!bad && (
              <Button
                small
                className="ml-auto"
                onClick={() => {
                  setShown(false);
                  open(placeOf(checked));
                }}
              >
                {citation.target.chunk ? en.evidence.openLog : en.evidence.openFile}
              </Button>
            )}
          </span>
        </span>
      )}
    </span>
  );
}
