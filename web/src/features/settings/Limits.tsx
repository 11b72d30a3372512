// Models that may be named, and the budgets of server, teams and people.
import { useState } from 'react';
import { Button } from '../../parts/Button';
import { Card, Input, Table } from '../../parts/form';
import { en } from '../../texts/en';
import { money } from '../../texts/format';
import { quotaOf } from './limits-of';
import { Answered, Failed, formRow, useAnswer, useChange } from './parts';
import type { S } from './Settings';

const words = en.settings.limits;

export function Models() {
  const models = useAnswer<S['ModelList']>('/models');
  return (
    <Card title={words.models} side={words.modelsAbout}>
      <Answered of={models}>
        {(data) => (
          <Table
            label={words.models}
            columns={words.modelColumns}
            rows={data.models.map((model) => ({
              key: model.name,
              cells: [
                model.name,
                model.window.toLocaleString('en'),
                model.missing ?? (model.default ? words.isDefault : words.ready),
              ],
            }))}
          />
        )}
      </Answered>
    </Card>
  );
}

export function Quotas() {
  const quotas = useAnswer<S['QuotaList']>('/quotas');
  const change = useChange();
  const [whose, setWhose] = useState('server');
  const [name, setName] = useState('');
  const [dollars, setDollars] = useState('');
  const [tokens, setTokens] = useState('');
  const [atOnce, setAtOnce] = useState('');
  const of = (limit: number | null | undefined, show: (value: number) => string) =>
    limit === null || limit === undefined ? words.none : show(limit);
  return (
    <Card title={words.quotas} side={words.quotasAbout}>
      <Answered of={quotas}>
        {(data) => (
          <Table
            label={words.quotas}
            columns={words.quotaColumns}
            rows={data.quotas.map((one) => ({
              key: `${one.whose} ${one.name ?? ''}`,
              cells: [
                one.name ? `${words.whose[one.whose] ?? one.whose} ${one.name}` : words.server,
                money(one.used_micro_dollars),
                of(one.quota.month_micro_dollars, money),
                one.used_tokens.toLocaleString('en'),
                of(one.quota.month_tokens, (value) => value.toLocaleString('en')),
                of(one.quota.at_once, String),
              ],
            }))}
          />
        )}
      </Answered>
      <form
        className={formRow}
        onSubmit={(event) => {
          event.preventDefault();
          const path = whose === 'server' ? 'server' : `${whose}/${encodeURIComponent(name)}`;
          const body = quotaOf(dollars, tokens, atOnce);
          change.mutate({ path: `/quotas/${path}`, method: 'PUT', body });
        }}
      >
        <label className="block">
          <span className="mb-1 block font-medium">{words.of}</span>
          <select
            className="h-8 rounded-m border border-control bg-raised px-2 max-md:h-9"
            value={whose}
            onChange={(event) => setWhose(event.target.value)}
          >
            <option value="server">{words.server}</option>
            <option value="teams">{words.whose.team}</option>
            <option value="users">{words.whose.user}</option>
          </select>
        </label>
        {whose !== 'server' && (
          <Input label={words.name} value={name} put={setName} required wide="w-36" />
        )}
        <Input
          label={words.dollars}
          value={dollars}
          put={setDollars}
          inputMode="decimal"
          pattern="\d*\.?\d*"
          wide="w-32"
        />
        <Input label={words.tokens} value={tokens} put={setTokens} pattern="\d*" wide="w-36" />
        <Input label={words.atOnce} value={atOnce} put={setAtOnce} pattern="\d*" wide="w-28" />
        <Button type="submit">{words.save}</Button>
        <p className="w-full text-12 text-ink-2">{words.empty}</p>
      </form>
      <Failed error={change.error} />
    </Card>
  );
}
