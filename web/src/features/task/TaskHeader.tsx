// State, figures, and what can be done to the whole task.
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useTaskActions } from '../../api/tasks';
import type { AttemptSummary, Task, Wanted } from '../../api/types';
import { Button } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { Problem } from '../../parts/Problem';
import { StateMark, stateWord } from '../../parts/StateMark';
import { CopyLine, DiffStat } from '../../parts/small';
import { en } from '../../texts/en';
import { money, repositoryName, took } from '../../texts/format';

export function TaskHeader({ task, attempt }: { task: Task; attempt: AttemptSummary }) {
  const actions = useTaskActions(task.task);
  const navigate = useNavigate({ from: '/tasks/$task' });
  const [apply, setApply] = useState(false);
  const turn = task.history.at(-1);
  const say = (input: string) => actions.input.mutate({ input } as Wanted);
  const { state } = task.state;
  const stat = attempt.result?.diff_stat;
  const limit = turn?.budget.cost;
  const error = actions.input.error ?? actions.retry.error;
  return (
    <header className="border-b border-line px-5 py-2.5 max-sm:px-3">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <span className="text-ink-3">#{task.task}</span>
        <h1 className="min-w-0 truncate text-16 font-semibold">{task.title}</h1>
        <span className="inline-flex items-center gap-1.5 rounded-full border border-line-2 px-2 py-0.5 text-12 font-medium">
          <StateMark state={task.state} />
          {stateWord(task.state)}
        </span>
        <div className="ml-auto flex gap-2">
          {state !== 'done' && state !== 'suspended' && (
            <Button onClick={() => say('pause')}>
              <Icon name="pause" />
              {en.task.pause}
            </Button>
          )}
          {state === 'suspended' && task.state.reason?.why === 'paused' && (
            <Button look="main" onClick={() => say('resume')}>
              {en.task.resume}
            </Button>
          )}
          {state === 'suspended' && task.state.reason?.why === 'budget' && limit && (
            <Button
              look="main"
              onClick={() =>
                actions.input.mutate({
                  input: 'raise_budget',
                  budget: { ...turn?.budget, cost: limit * 2 },
                } as Wanted)
              }
            >
              {en.task.raise(money(limit * 2))}
            </Button>
          )}
          {state !== 'done' && (
            <Button onClick={() => say('cancel')}>
              <Icon name="stop" />
              {en.task.cancel}
            </Button>
          )}
          {state === 'done' && (
            <Button onClick={() => actions.retry.mutate(attempt.attempt)}>
              <Icon name="retry" />
              {en.task.retry}
            </Button>
          )}
          {state === 'done' && stat && stat.files > 0 && (
            <Button look="main" aria-expanded={apply} onClick={() => setApply(!apply)}>
              {en.task.apply}
            </Button>
          )}
        </div>
      </div>
      <div className="mt-1.5 flex flex-wrap items-center gap-x-4 gap-y-1 text-12 text-ink-2 [&>span]:inline-flex [&>span]:items-center [&>span]:gap-1.5">
        <span>
          <Icon name="repo" />
          {repositoryName(task.repository)}
        </span>
        {turn?.branch && (
          <span>
            <Icon name="branch" />
            {turn.branch} <code className="font-mono text-ink-3">{turn.base?.slice(0, 7)}</code>
          </span>
        )}
        {turn?.environment && (
          <span>
            <Icon name="box" />
            {turn.environment.name}
          </span>
        )}
        {turn && (
          <span>
            <Icon name="model" />
            {turn.model}
          </span>
        )}
        <span>
          <Icon name="clock" />
          {took(attempt.spent.wall_ms)}
        </span>
        <span>
          <Icon name="coin" />
          {money(attempt.spent.cost)}
          {limit ? ` / ${money(limit)}` : ''}
        </span>
        {stat && <DiffStat stat={stat} />}
        {task.attempts.length > 1 && (
          <select
            aria-label={en.prompt.attemptsLabel}
            value={attempt.attempt}
            onChange={(event) =>
              void navigate({
                search: (before) => ({ ...before, attempt: Number(event.target.value) }),
              })
            }
            className="h-7 rounded-m border border-control bg-raised px-1"
          >
            {task.attempts.map((one) => (
              <option key={one.id} value={one.attempt}>
                {en.task.attempt(one.attempt)}: {stateWord(one.state)}
              </option>
            ))}
          </select>
        )}
      </div>
      {apply && (
        <div className="mt-2 max-w-2xl space-y-1 pb-1">
          <CopyLine
            text={`quire task apply ${task.task}${attempt.attempt > 1 ? `.${attempt.attempt}` : ''}`}
          />
          <p className="text-12 text-ink-2">{en.task.applyHelp}</p>
        </div>
      )}
      {error && (
        <div className="mt-2">
          <Problem error={error} />
        </div>
      )}
    </header>
  );
}
