// What was done, by whom: filtered, page by page, and as a file.
import { useState } from 'react';
import { Button } from '../../parts/Button';
import { Card, Input, Table } from '../../parts/form';
import { en } from '../../texts/en';
import { Answered, useAnswer } from './parts';
import type { S } from './Settings';

const words = en.settings.audit;
const ROWS = 50;

/** The beginning of a day in this browser's zone, in milliseconds; nothing for no day. */
function dayStart(text: string, plusDays = 0): number | undefined {
  if (!text) return undefined;
  const date = new Date(`${text}T00:00:00`);
  date.setDate(date.getDate() + plusDays);
  return date.getTime();
}

export function Audit() {
  const [action, setAction] = useState('');
  const [actor, setActor] = useState('');
  const [since, setSince] = useState('');
  const [until, setUntil] = useState('');
  const [asked, setAsked] = useState<Record<string, string | number | undefined>>({});
  const [before, setBefore] = useState<number[]>([]);
  const page = useAnswer<S['AuditPage']>('/audit', {
    ...asked,
    before: before.at(-1),
    limit: ROWS,
  });
  const file = (format: string) => {
    const url = new URL('/api/v1/audit/export', location.origin);
    for (const [key, value] of Object.entries(asked))
      if (value !== undefined && value !== '') url.searchParams.set(key, String(value));
    url.searchParams.set('format', format);
    return url.href;
  };
  return (
    <Card
      title={words.title}
      side={
        <>
          <a className="text-accent underline" href={file('csv')} download>
            CSV
          </a>
          <a className="text-accent underline" href={file('jsonl')} download>
            JSON Lines
          </a>
        </>
      }
    >
      <form
        className="flex flex-wrap items-end gap-2 border-b border-line p-4"
        onSubmit={(event) => {
          event.preventDefault();
          setBefore([]);
          setAsked({ action, actor, since: dayStart(since), until: dayStart(until, 1) });
        }}
      >
        <Input
          label={words.action}
          value={action}
          put={setAction}
          placeholder="task.submit"
          wide="w-36"
        />
        <Input label={words.actor} value={actor} put={setActor} wide="w-36" />
        <Input label={words.since} value={since} put={setSince} type="date" wide="w-36" />
        <Input label={words.until} value={until} put={setUntil} type="date" wide="w-36" />
        <Button type="submit">{words.filter}</Button>
      </form>
      <Answered of={page}>
        {({ rows, next }) => (
          <>
            {rows.length === 0 && (
              <p className="px-4 py-6 text-center text-ink-2">{words.nothing}</p>
            )}
            {rows.length > 0 && (
              <Table
                label={words.title}
                columns={words.columns}
                rows={rows.map((row) => ({
                  key: String(row.number),
                  cells: [
                    <time
                      key="at"
                      className="whitespace-nowrap"
                      dateTime={new Date(row.at).toISOString()}
                    >
                      {new Date(row.at).toLocaleString('en-GB')}
                    </time>,
                    row.actor_name ?? row.actor ?? words.nobody,
                    <code key="action" className="font-mono text-12">
                      {row.action}
                    </code>,
                    <span key="subject" className="block min-w-44 break-words">
                      {row.subject}
                    </span>,
                    row.team_name ?? '–',
                    row.address,
                  ],
                }))}
              />
            )}
            <div className="flex gap-2 border-t border-line p-3">
              <Button
                small
                disabled={before.length === 0}
                onClick={() => setBefore(before.slice(0, -1))}
              >
                {words.newer}
              </Button>
              <Button small disabled={!next} onClick={() => next && setBefore([...before, next])}>
                {words.older}
              </Button>
            </div>
          </>
        )}
      </Answered>
    </Card>
  );
}
