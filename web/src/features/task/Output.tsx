// What a command printed: brought in pages as it is looked at, so that any length will do.
import { useQueries, useQuery } from '@tanstack/react-query';
import { useCallback, useState } from 'react';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import type { OutputLines } from '../../api/types';
import { Problem } from '../../parts/Problem';
import { en } from '../../texts/en';
import { plain } from './ansi';
import type { Command } from './attemptLog';
import { Lines, type Shown } from './Lines';

/** Lines that are asked for at once. */
const PAGE = 1000;

export function Output({
  attempt,
  entry,
  cited,
  follow,
}: {
  attempt: string;
  entry: Command;
  cited: Shown | undefined;
  follow: boolean;
}) {
  const path = `/attempts/${attempt}/outputs/${entry.id}`;
  const running = entry.end === undefined;
  const known = keys.lines(attempt, entry.id);
  const begin = useQuery({
    queryKey: [...known, running],
    queryFn: ({ signal }) =>
      ask<OutputLines>(`${path}/lines`, { query: { first: 1, last: PAGE }, signal }),
    staleTime: running ? 0 : Number.POSITIVE_INFINITY,
    refetchInterval: running ? 1000 : false,
    placeholderData: (before) => before,
  });
  const [shown, setShown] = useState<Shown>({ first: 1, last: 1 });
  const seen = useCallback((next: Shown) => setShown(next), []);
  const count = begin.data?.count ?? 0;
  const wanted: number[] = [];
  for (let at = pageOf(shown.first); at <= pageOf(shown.last); at++) if (at > 0) wanted.push(at);
  const pages = useQueries({
    queries: wanted.map((page) => {
      const first = page * PAGE + 1;
      const last = first + PAGE - 1;
      return {
        // The page that grows is asked for again when it has grown.
        queryKey: [...known, page, Math.min(count, last)],
        queryFn: ({ signal }: { signal: AbortSignal }) =>
          ask<OutputLines>(`${path}/lines`, { query: { first, last }, signal }),
        staleTime: Number.POSITIVE_INFINITY,
        gcTime: 60_000,
      };
    }),
  });
  const line = (number: number) => {
    const page = pageOf(number);
    const lines = page === 0 ? begin.data?.lines : pages[wanted.indexOf(page)]?.data?.lines;
    return lines?.[number - 1 - page * PAGE];
  };
  if (begin.isError)
    return (
      <div className="p-3">
        <Problem error={begin.error} />
      </div>
    );
  const failed = pages.find((one) => one.isError)?.error;
  const copy = async () => {
    const all = await ask<OutputLines>(`${path}/lines`, { query: { first: 1, last: 10_000 } });
    await navigator.clipboard.writeText(all.lines.map(plain).join('\n'));
  };
  return (
    <div className="bg-sunken">
      {count > 0 && (
        <Lines
          count={count}
          line={line}
          seen={seen}
          cited={cited}
          label={entry.command}
          follow={follow && running}
        />
      )}
      {failed && <Problem error={failed} />}
      <p className="flex min-h-7 items-center gap-4 py-1 pl-16 text-12 text-ink-3">
        {begin.data && count === 0 && !running && en.log.noOutput}
        {entry.end?.by && en.log.ended[entry.end.by]}
        {count > 0 && (
          <button
            type="button"
            className="text-accent underline"
            onClick={() => void copy().catch(() => undefined)}
          >
            {en.log.copy}
          </button>
        )}
        <a className="text-accent underline" href={`/api/v1${path}/raw`}>
          {en.log.raw}
        </a>
      </p>
    </div>
  );
}

function pageOf(line: number): number {
  return Math.floor((Math.max(line, 1) - 1) / PAGE);
}
