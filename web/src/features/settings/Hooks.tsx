// Who is told of what happens: webhooks and mail, what was sent to them, and sending again.
import { useState } from 'react';
import { Button } from '../../parts/Button';
import { box, Card, Input, Table } from '../../parts/form';
import { CopyLine, useNow } from '../../parts/small';
import { en } from '../../texts/en';
import { ago } from '../../texts/format';
import { Answered, Failed, formRow, Sure, useAnswer, useChange } from './parts';
import type { S } from './Settings';

const words = en.settings.hooks;

export function Hooks() {
  const list = useAnswer<S['Subscription'][]>('/subscriptions');
  const make = useChange<S['Subscription']>();
  const change = useChange();
  const [target, setTarget] = useState('');
  const [channel, setChannel] = useState('webhook');
  const [open, setOpen] = useState<string | null>(null);
  return (
    <Card title={words.title}>
      <Answered of={list}>
        {(data) =>
          data.length === 0 ? (
            <p className="px-4 py-6 text-center text-ink-2">{words.empty}</p>
          ) : (
            <ul>
              {data.map((one) => (
                <li key={one.id} className="border-b border-line last:border-0">
                  <div className="flex flex-wrap items-center gap-x-3 px-4 py-2">
                    <code className="min-w-0 font-mono text-12 break-all">{one.target}</code>
                    <span className="text-12 text-ink-2">
                      {one.kinds.map((kind) => words.kinds[kind]).join(', ')}
                    </span>
                    <span className="ml-auto flex gap-1">
                      <Button
                        small
                        aria-expanded={open === one.id}
                        onClick={() => setOpen(open === one.id ? null : one.id)}
                      >
                        {words.log}
                      </Button>
                      <Sure
                        label={words.remove}
                        sure={words.removeSure}
                        act={() =>
                          change.mutate({ path: `/subscriptions/${one.id}`, method: 'DELETE' })
                        }
                      />
                    </span>
                  </div>
                  {open === one.id && <Deliveries id={one.id} />}
                </li>
              ))}
            </ul>
          )
        }
      </Answered>
      {make.data?.secret && (
        <div role="status" className="border-t border-line p-4">
          <p className="mb-2 font-medium">{words.secretOnce}</p>
          <CopyLine text={make.data.secret} />
        </div>
      )}
      <form
        className={formRow}
        onSubmit={(event) => {
          event.preventDefault();
          make.mutate(
            { path: '/subscriptions', method: 'POST', body: { channel, target } },
            { onSuccess: () => setTarget('') },
          );
        }}
      >
        <label className="block">
          <span className="mb-1 block font-medium">{words.channel}</span>
          <select
            className={`${box} w-32!`}
            value={channel}
            onChange={(event) => setChannel(event.target.value)}
          >
            <option value="webhook">{words.webhook}</option>
            <option value="email">{words.mail}</option>
          </select>
        </label>
        <Input
          label={words.target}
          value={target}
          put={setTarget}
          required
          type={channel === 'email' ? 'email' : 'url'}
          wide="min-w-56 flex-1"
        />
        <Button type="submit" disabled={make.isPending}>
          {words.add}
        </Button>
      </form>
      <Failed error={make.error ?? change.error} />
    </Card>
  );
}

function Deliveries({ id }: { id: string }) {
  const list = useAnswer<S['Delivery'][]>(`/subscriptions/${id}/deliveries`);
  const again = useChange();
  const now = useNow();
  return (
    <div className="border-t border-line bg-sunken">
      <Answered of={list}>
        {(data) =>
          data.length === 0 ? (
            <p className="px-4 py-3 text-ink-2">{words.nothingSent}</p>
          ) : (
            <Table
              label={words.log}
              columns={words.columns}
              rows={data.map((one) => ({
                key: one.id,
                cells: [
                  one.task == null ? '' : `#${one.task}`,
                  words.kinds[one.about],
                  [words.states[one.state] ?? one.state, one.status, one.detail]
                    .filter(Boolean)
                    .join(' · '),
                  one.tries,
                  en.settings.agoWords(ago(one.updated_at, now)),
                  <Button
                    key="again"
                    small
                    onClick={() =>
                      again.mutate({
                        path: `/subscriptions/${id}/deliveries/${one.id}/redeliver`,
                        method: 'POST',
                      })
                    }
                  >
                    {words.again}
                  </Button>,
                ],
              }))}
            />
          )
        }
      </Answered>
      <Failed error={again.error} />
    </div>
  );
}
