// Take part: steer while it works, answer, approve, or ask for more when it ended.
import { useState } from 'react';
import { useTaskActions } from '../../api/tasks';
import type { NewTurn, Task, Wanted } from '../../api/types';
import { Button } from '../../parts/Button';
import { Problem } from '../../parts/Problem';
import { en } from '../../texts/en';

export function Composer({ task, plan }: { task: Task; plan: string | undefined }) {
  const [text, setText] = useState('');
  const [editing, setEditing] = useState(false);
  const { input, turn } = useTaskActions(task.task);
  const state = task.state.state;
  const done = {
    onSuccess: () => {
      setText('');
      setEditing(false);
    },
  };
  const say = (kind: string) =>
    input.mutate(
      { input: kind, ...(text.trim() || kind !== 'approve' ? { text } : {}) } as Wanted,
      done,
    );
  const more = (mode: string) => turn.mutate({ prompt: text, mode } as NewTurn, done);
  const word = text.trim() !== '';
  const main = word ? 'main' : 'plain';
  const t = en.task;
  const [hint, buttons] =
    state === 'done'
      ? [
          t.followHint,
          <>
            <Button key="a" small disabled={!word} onClick={() => more('ask')}>
              {en.prompt.verbs.ask}
            </Button>
            <Button key="c" small look={main} disabled={!word} onClick={() => more('code')}>
              {en.prompt.verbs.code}
            </Button>
          </>,
        ]
      : state === 'waiting_for_user'
        ? [
            t.answerHint,
            <Button key="w" small look={main} disabled={!word} onClick={() => say('answer')}>
              {t.answer}
            </Button>,
          ]
        : state === 'waiting_for_approval' && editing
          ? [
              t.plan,
              <>
                <Button
                  key="k"
                  small
                  onClick={() => {
                    setText('');
                    setEditing(false);
                  }}
                >
                  {t.keepPlan}
                </Button>
                <Button key="e" small look={main} disabled={!word} onClick={() => say('approve')}>
                  {t.approveEdited}
                </Button>
              </>,
            ]
          : state === 'waiting_for_approval'
            ? [
                t.rejectHint,
                <>
                  <Button key="r" small disabled={!word} onClick={() => say('reject')}>
                    {t.reject}
                  </Button>
                  {plan && (
                    <Button
                      key="e"
                      small
                      onClick={() => {
                        setText(plan);
                        setEditing(true);
                      }}
                    >
                      {t.editPlan}
                    </Button>
                  )}
                  <Button
                    key="p"
                    small
                    look={word ? 'plain' : 'main'}
                    disabled={word}
                    onClick={() => say('approve')}
                  >
                    {t.approve}
                  </Button>
                </>,
              ]
            : [
                t.steerHint,
                <>
                  <Button key="m" small disabled={!word} onClick={() => say('message')}>
                    {t.queue}
                  </Button>
                  <Button key="s" small look={main} disabled={!word} onClick={() => say('steer')}>
                    {t.steer}
                  </Button>
                </>,
              ];
  const error = input.error ?? turn.error;
  return (
    <div className="border-t border-line p-4">
      {error && (
        <div className="mb-2">
          <Problem error={error} />
        </div>
      )}
      <div className="rounded-xl border border-control bg-raised focus-within:border-accent focus-within:ring-3 focus-within:ring-accent-bg">
        <textarea
          id="composer"
          rows={2}
          aria-label={hint as string}
          placeholder={hint as string}
          value={text}
          onChange={(event) => setText(event.target.value)}
          className="block field-sizing-content max-h-60 w-full resize-none bg-transparent px-3.5 pt-3 pb-1 text-14 outline-none placeholder:text-ink-3"
        />
        <div className="flex justify-end gap-1.5 p-2">{buttons}</div>
      </div>
    </div>
  );
}
