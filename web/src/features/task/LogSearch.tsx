// Looks through what the commands printed, newest last, and goes from match to match.
import { useRef, useState } from 'react';
import { ask } from '../../api/client';
import type { OutputLines } from '../../api/types';
import { Button } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { useKeys } from '../../shell/keys';
import { en } from '../../texts/en';
import { plain } from './ansi';
import type { Command } from './attemptLog';
import type { Place } from './citations';

/** Lines of one output that are looked through, and matches that are kept. */
const MOST_LINES = 20_000;
const MOST_FOUND = 1000;
const STEP = 10_000;

async function look(attempt: string, commands: Command[], text: string): Promise<Place[]> {
  const found: Place[] = [];
  const wanted = text.toLowerCase();
  for (const { id, command } of commands) {
    if (command.toLowerCase().includes(wanted)) found.push({ chunk: id, first: 0, last: 0 });
    for (let first = 1; first <= MOST_LINES; first += STEP) {
      const { lines, count } = await ask<OutputLines>(`/attempts/${attempt}/outputs/${id}/lines`, {
        query: { first, last: first + STEP - 1 },
      });
      lines.forEach((line, index) => {
        if (!plain(line.slice(0, 100_000)).toLowerCase().includes(wanted)) return;
        found.push({ chunk: id, first: first + index, last: first + index });
      });
      if (found.length >= MOST_FOUND) return found;
      if (first + STEP > count) break;
    }
  }
  return found;
}

export function LogSearch({
  attempt,
  commands,
  open,
}: {
  attempt: string;
  commands: Command[];
  open: (place: Place) => void;
}) {
  const [text, setText] = useState('');
  const [found, setFound] = useState<Place[] | 'looking' | null>(null);
  const [at, setAt] = useState(0);
  const box = useRef<HTMLInputElement>(null);
  const go = (to: number) => {
    if (!Array.isArray(found) || found.length === 0) return;
    const next = (to + found.length) % found.length;
    setAt(next);
    const place = found[next];
    if (place) open(place);
  };
  const search = () => {
    if (!text.trim()) return;
    if (Array.isArray(found)) return go(at + 1);
    setFound('looking');
    look(attempt, commands, text.trim()).then(
      (places) => {
        setFound(places);
        setAt(0);
        if (places[0]) open(places[0]);
      },
      () => setFound([]),
    );
  };
  useKeys({
    '/': () => box.current?.focus(),
    n: () => go(at + 1),
    p: () => go(at - 1),
  });
  return (
    <form
      className="flex items-center gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        search();
      }}
    >
      <label className="flex h-7 w-56 items-center gap-2 rounded-m border border-control bg-raised px-2 text-ink-3 max-sm:w-40">
        <Icon name="search" />
        <input
          ref={box}
          type="search"
          aria-label={en.log.search}
          placeholder={en.log.search}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setFound(null);
          }}
          className="min-w-0 flex-1 bg-transparent text-ink outline-none placeholder:text-ink-3"
        />
      </label>
      <span role="status" className="text-12 whitespace-nowrap text-ink-2 tabular-nums">
        {found === 'looking' && en.log.searching}
        {Array.isArray(found) &&
          (found.length > 0 ? en.log.found(at + 1, found.length) : en.log.notFound)}
      </span>
      {Array.isArray(found) && found.length > 1 && (
        <Button small onClick={() => go(at + 1)}>
          {en.log.next}
        </Button>
      )}
    </form>
  );
}
