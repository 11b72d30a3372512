// Choose: the attempts of a turn beside each other, the same facts in the same place.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import type { AttemptResult, AttemptSummary, CheckedCitation, Task } from '../../api/types';
import { Button } from '../../parts/Button';
import { Problem } from '../../parts/Problem';
import { StateMark, stateWord } from '../../parts/StateMark';
import { DiffStat } from '../../parts/small';
import { en } from '../../texts/en';
import { money, took } from '../../texts/format';
import { Answer } from './Answer';

/** The chosen attempt is the one that is applied and that follow-ups go on from. */
export function AttemptsView({ task, show }: { task: Task; show: (attempt: number) => void }) {
  const client = useQueryClient();
  const choose = useMutation({
    mutationFn: (attempt: number) =>
      ask(`/tasks/${task.task}/choice`, { method: 'PUT', body: { attempt } }),
    onSettled: () => client.invalidateQueries({ queryKey: keys.task(task.task) }),
  });
  const chosen = task.history.at(-1)?.chosen;
  return (
    <div className="space-y-3 p-4">
      <p className="text-12 text-ink-2">{en.attempts.what}</p>
      {choose.isError && <Problem error={choose.error} />}
      <div className="grid grid-cols-[repeat(auto-fit,minmax(240px,1fr))] gap-3">
        {task.attempts.map((one) => (
          <Card
            key={one.id}
            attempt={one}
            chosen={one.attempt === chosen}
            choose={() => choose.mutate(one.attempt)}
            show={() => show(one.attempt)}
          />
        ))}
      </div>
    </div>
  );
}

function Card({
  attempt,
  chosen,
  choose,
  show,
}: {
  attempt: AttemptSummary;
  chosen: boolean;
  choose: () => void;
  show: () => void;
}) {
  const done = attempt.state.state === 'done';
  const result = useQuery({
    queryKey: keys.result(attempt.id),
    queryFn: ({ signal }) => ask<AttemptResult>(`/attempts/${attempt.id}/result`, { signal }),
    enabled: done,
    retry: false,
  });
  const run = attempt.result?.checks_run ?? 0;
  const passed = attempt.result?.checks_passed ?? 0;
  const stat = attempt.result?.diff_stat;
  return (
    <section
      className={`flex flex-col rounded-l border bg-raised ${chosen ? 'border-accent' : 'border-line'}`}
    >
      <h2 className="flex items-center gap-2 border-b border-line px-4 py-2.5 font-semibold">
        <StateMark state={attempt.state} />
        {en.task.attempt(attempt.attempt)}
        <span className="font-normal text-ink-2">{stateWord(attempt.state)}</span>
        <span className="ml-auto text-12 font-normal text-ink-3 tabular-nums">
          {took(attempt.spent.wall_ms)}
        </span>
      </h2>
      <dl className="grid grid-cols-3 border-b border-line px-4 py-2.5">
        <div>
          <dt className="text-12 text-ink-3">{en.evidence.checks}</dt>
          <dd className={run === 0 ? '' : passed === run ? 'text-ok' : 'text-bad'}>
            {run > 0 ? en.evidence.of(passed, run) : '–'}
          </dd>
        </div>
        <div>
          <dt className="text-12 text-ink-3">{en.task.tabs.diff}</dt>
          <dd>{stat ? <DiffStat stat={stat} /> : '–'}</dd>
        </div>
        <div>
          <dt className="text-12 text-ink-3">{en.attempts.cost}</dt>
          <dd className="tabular-nums">{money(attempt.spent.cost)}</dd>
        </div>
      </dl>
      <div
        className="max-h-96 min-h-20 flex-1 overflow-y-auto px-4 py-3"
        tabIndex={0}
        role="region"
        aria-label={en.task.attempt(attempt.attempt)}
      >
        {result.data?.answer ? (
          <Answer
            text={result.data.answer}
            citations={result.data.citations as unknown as CheckedCitation[]}
            open={show}
          />
        ) : (
          <p className="text-ink-3">{en.task.noAnswer}</p>
        )}
      </div>
      <div className="flex items-center gap-2 border-t border-line p-3">
        {chosen ? (
          <span className="flex-1 text-center font-medium text-accent">{en.attempts.chosen}</span>
        ) : (
          done && (
            <Button className="flex-1" onClick={choose}>
              {en.attempts.choose(attempt.attempt)}
            </Button>
          )
        )}
        <Button onClick={show}>{en.attempts.open}</Button>
      </div>
    </section>
  );
}
