// What was said, the plan, and the answer.
import { useQuery } from '@tanstack/react-query';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import { useTaskActions } from '../../api/tasks';
import type { AttemptResult, CheckedCitation, Task, Turn, Wanted } from '../../api/types';
import { Button } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { en } from '../../texts/en';
import { timeOfDay } from '../../texts/format';
import { Answer } from './Answer';
import type { AttemptLog } from './attemptLog';
import type { Place } from './citations';

export function Conversation({
  task,
  attempt,
  log,
  open,
}: {
  task: Task;
  attempt: string;
  log: AttemptLog;
  open: (place: Place) => void;
}) {
  const newest = task.history.at(-1);
  const actions = useTaskActions(task.task);
  return (
    <div className="space-y-5 p-5 max-sm:p-3">
      {task.history.slice(0, -1).map((turn) => (
        <Past key={turn.id} turn={turn} open={open} />
      ))}
      {newest && <Said who={en.task.you} at={newest.created_at} text={newest.prompt} />}
      {log.plan.length > 0 && (
        <section className="rounded-l border border-line bg-raised p-4">
          <h2 className="mb-2 flex justify-between font-semibold">
            {en.task.plan}
            <span className="text-12 font-normal text-ink-3">
              {en.task.planDone(
                log.plan.filter((one) => one.status === 'completed').length,
                log.plan.length,
              )}
            </span>
          </h2>
          <ol className="space-y-1.5">
            {log.plan.map((one) => (
              <li
                key={one.step}
                className={`flex gap-2.5 ${one.status === 'in_progress' ? '' : 'text-ink-2'}`}
              >
                <span className={one.status === 'in_progress' ? 'text-live' : 'text-ink-3'}>
                  <Icon
                    name={
                      one.status === 'completed'
                        ? 'check'
                        : one.status === 'in_progress'
                          ? 'right'
                          : 'clock'
                    }
                  />
                </span>
                {one.step} <span className="sr-only">({en.task.steps[one.status]})</span>
              </li>
            ))}
          </ol>
        </section>
      )}
      {log.spoken.map((one, index) =>
        one.by === 'you' ? (
          <Said key={`${one.id}y`} who={en.task.you} at={one.at} text={one.text} />
        ) : (
          <Quire
            key={one.id}
            at={one.at}
            text={one.text}
            citations={log.citations}
            open={open}
            goesOn={log.spoken[index - 1]?.by === 'quire'}
          />
        ),
      )}
      {log.question && (
        <section className="rounded-l border border-you bg-you-bg p-4">
          <h2 className="font-semibold text-you">{en.task.question}</h2>
          <p className="text-14 whitespace-pre-wrap">{log.question.text}</p>
          <div className="mt-2 flex flex-wrap gap-2">
            {log.question.choices.map((choice) => (
              <Button
                key={choice.label}
                small
                title={choice.detail}
                onClick={() =>
                  actions.input.mutate({ input: 'answer', text: choice.label } as Wanted)
                }
              >
                {choice.label}
              </Button>
            ))}
          </div>
        </section>
      )}
      {log.failure && (
        <section role="alert" className="rounded-l border border-bad bg-bad-bg p-4 text-bad">
          <h2 className="font-semibold">{en.task.failed}</h2>
          <p className="whitespace-pre-wrap">{log.failure}</p>
        </section>
      )}
      {log.answer && (
        <Quire
          key={attempt}
          at={log.answeredAt}
          text={log.answer}
          citations={log.citations}
          open={open}
          goesOn={log.spoken.at(-1)?.by === 'quire'}
        />
      )}
    </div>
  );
}

function Past({ turn, open }: { turn: Turn; open: (place: Place) => void }) {
  const attempt = turn.attempts.find((one) => one.attempt === turn.chosen) ?? turn.attempts[0];
  const { data } = useQuery({
    queryKey: keys.result(attempt?.id ?? ''),
    queryFn: ({ signal }) => ask<AttemptResult>(`/attempts/${attempt?.id}/result`, { signal }),
    enabled: attempt !== undefined,
  });
  return (
    <>
      <Said who={en.task.you} at={turn.created_at} text={turn.prompt} />
      {data?.answer && (
        <Quire
          at={attempt?.updated_at}
          text={data.answer}
          citations={data.citations as unknown as CheckedCitation[]}
          open={open}
        />
      )}
    </>
  );
}

function Said({ who, at, text }: { who: string; at: number; text: string }) {
  return (
    <section>
      <h2 className="mb-1.5 font-semibold">
        {who} <span className="text-12 font-normal text-ink-3">{timeOfDay(at)}</span>
      </h2>
      <p className="rounded-l border border-line bg-sunken px-4 py-3 text-14 break-words whitespace-pre-wrap">
        {text}
      </p>
    </section>
  );
}

function Quire({
  at,
  text,
  citations,
  open,
  goesOn = false,
}: {
  at: number | undefined;
  text: string;
  citations: CheckedCitation[];
  open: (place: Place) => void;
  /** It was the one who spoke last: its name is not said again. */
  goesOn?: boolean;
}) {
  return (
    <section className={goesOn ? '-mt-2' : ''}>
      <h2 className={goesOn ? 'sr-only' : 'mb-1.5 flex items-center gap-1.5 font-semibold'}>
        <Icon name="quire" />
        {en.name}{' '}
        {at !== undefined && (
          <span className="text-12 font-normal text-ink-3">{timeOfDay(at)}</span>
        )}
      </h2>
      <Answer text={text} citations={citations} open={open} />
    </section>
  );
}
