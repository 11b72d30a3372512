// What happened in an environment lately: how it was made ready, and what it was denied.
import { Link } from '@tanstack/react-router';
import { Button } from '../../parts/Button';
import { Skeleton } from '../../parts/Empty';
import { Card } from '../../parts/form';
import { Icon } from '../../parts/Icon';
import { useNow } from '../../parts/small';
import { en } from '../../texts/en';
import { ago, took } from '../../texts/format';
import { useLately } from './queries';
import { deniedIn, notesOf, phasesOf, ruleFor, type Told } from './recent';

export function Lately({ name, allow }: { name: string; allow: (rule: string) => void }) {
  const { told, pending } = useLately(name);
  const denied = deniedIn(told);
  const now = useNow();
  return (
    <div>
      <Card title={en.environments.setup} side={en.environments.lastTasks}>
        {pending && <Skeleton rows={3} height={36} />}
        {!pending && told.length === 0 && (
          <p className="px-4 py-8 text-center text-ink-2">{en.environments.never}</p>
        )}
        {told.slice(0, 3).map((one, index) => (
          <Made key={one.task} told={one} open={index === 0} />
        ))}
      </Card>
      <Card title={en.environments.denied} side={en.environments.deniedCount(denied.length)}>
        {denied.length === 0 && (
          <p className="px-4 py-6 text-center text-ink-2">{en.environments.deniedNone}</p>
        )}
        <ul>
          {denied.map((row) => (
            <li
              key={`${row.host} ${row.method} ${row.rule}`}
              className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line px-4 py-2 last:border-0"
            >
              <span className="text-bad">
                <Icon name="cross" />
              </span>
              <span className="min-w-0 flex-1 basis-40">
                <code className="block truncate font-mono text-12">
                  {row.method ? `${row.method} ` : ''}
                  {row.host}
                </code>
                <span className="text-12 text-ink-2">
                  {en.environments.times(row.times)}{' '}
                  {row.tasks.slice(0, 4).map((task) => (
                    <Link
                      key={task}
                      to="/tasks/$task"
                      params={{ task: String(task) }}
                      className="mr-1.5 text-accent underline"
                    >
                      #{task}
                    </Link>
                  ))}
                  · {ago(row.at, now)}
                </span>
              </span>
              {row.reason?.startsWith('no_rule') ? (
                <Button small onClick={() => allow(ruleFor(row))} title={ruleFor(row)}>
                  {en.environments.allow(row.method)}
                </Button>
              ) : (
                <span className="max-w-56 text-12 text-ink-2">{row.rule}</span>
              )}
            </li>
          ))}
        </ul>
      </Card>
    </div>
  );
}

function Made({ told, open }: { told: Told; open: boolean }) {
  const phases = phasesOf(told.events);
  const notes = notesOf(told.events);
  return (
    <details open={open} className="border-b border-line last:border-0">
      <summary className="cursor-pointer px-4 py-2 font-medium">
        {en.palette.task} #{told.task}
      </summary>
      <dl className="grid grid-cols-[max-content_1fr_max-content] gap-x-4 gap-y-1 px-4 pb-3">
        {phases.map((row, index) => (
          <div key={index} className="contents">
            <dt className={row.failed ? 'text-bad' : 'text-ink-2'}>
              {en.task.phases[row.phase] ?? row.phase}
            </dt>
            <dd className={`min-w-0 font-mono text-12 break-words ${row.failed ? 'text-bad' : ''}`}>
              {row.detail}
            </dd>
            <dd className="text-right text-12 text-ink-2 tabular-nums">
              {row.ms === null ? en.environments.now : took(row.ms)}
            </dd>
          </div>
        ))}
      </dl>
      {notes.length > 0 && (
        <ul className="border-t border-line bg-sunken px-4 py-2 font-mono text-12 break-words text-ink-2">
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
      <p className="px-4 py-2 text-12">
        <Link
          to="/tasks/$task"
          params={{ task: String(told.task) }}
          search={{ tab: 'log' }}
          className="text-accent underline"
        >
          {en.environments.whole}
        </Link>
      </p>
    </details>
  );
}
