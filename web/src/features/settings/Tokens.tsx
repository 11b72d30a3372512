// One's own tokens. A new one is shown once.
import { useState } from 'react';
import { Button } from '../../parts/Button';
import { Card, Input, Table } from '../../parts/form';
import { CopyLine, useNow } from '../../parts/small';
import { en } from '../../texts/en';
import { ago } from '../../texts/format';
import { Answered, Failed, formRow, Sure, useAnswer, useChange } from './parts';
import type { S } from './Settings';

const rights = [
  'read_tasks',
  'write_tasks',
  'read_environments',
  'write_environments',
  'manage_team',
  'read_usage',
  'read_audit',
  'manage_server',
];

export function Tokens() {
  const list = useAnswer<S['TokenList']>('/me/tokens');
  const make = useChange<S['TokenMade']>();
  const end = useChange();
  const now = useNow();
  const [name, setName] = useState('');
  const [days, setDays] = useState('90');
  const [scopes, setScopes] = useState<string[]>([]);
  return (
    <Card title={en.settings.tokens.title} side={en.settings.tokens.about}>
      <Answered of={list}>
        {({ tokens }) => (
          <Table
            label={en.settings.tokens.title}
            columns={en.settings.tokens.columns}
            rows={tokens
              .filter((one) => !one.revoked_at)
              .map((one) => ({
                key: one.id,
                cells: [
                  one.name,
                  (one.scopes ?? [en.settings.tokens.all]).join(', '),
                  one.used_at ? en.settings.agoWords(ago(one.used_at, now)) : en.settings.never,
                  one.expires_at
                    ? new Date(one.expires_at).toLocaleDateString('en-GB')
                    : en.settings.never,
                  <Sure
                    key="end"
                    label={en.settings.tokens.revoke}
                    sure={en.settings.tokens.revokeSure}
                    act={() => end.mutate({ path: `/tokens/${one.id}`, method: 'DELETE' })}
                  />,
                ],
              }))}
          />
        )}
      </Answered>
      {make.data && (
        <div role="status" className="border-t border-line p-4">
          <p className="mb-2 font-medium">{en.settings.tokens.once}</p>
          <CopyLine text={make.data.token} />
        </div>
      )}
      <form
        className={formRow}
        onSubmit={(event) => {
          event.preventDefault();
          const wish = { name, days: Number(days), ...(scopes.length > 0 ? { scopes } : {}) };
          make.mutate(
            { path: '/me/tokens', method: 'POST', body: wish },
            { onSuccess: () => setName('') },
          );
        }}
      >
        <Input label={en.settings.tokens.name} value={name} put={setName} required wide="w-48" />
        <Input
          label={en.settings.tokens.days}
          value={days}
          put={setDays}
          type="number"
          min={0}
          max={3650}
          required
          wide="w-28"
        />
        <fieldset className="w-full">
          <legend className="mb-1 font-medium">{en.settings.tokens.scopes}</legend>
          <div className="flex flex-wrap gap-x-4 gap-y-1">
            {rights.map((right) => (
              <label key={right} className="flex min-h-6 items-center gap-1.5">
                <input
                  type="checkbox"
                  checked={scopes.includes(right)}
                  onChange={(event) =>
                    setScopes(
                      event.target.checked
                        ? [...scopes, right]
                        : scopes.filter((one) => one !== right),
                    )
                  }
                />
                {right.replace('_', ' ')}
              </label>
            ))}
          </div>
        </fieldset>
        <Button type="submit" disabled={make.isPending}>
          {en.settings.tokens.make}
        </Button>
      </form>
      <Failed error={list.error ? null : (make.error ?? end.error)} />
    </Card>
  );
}
