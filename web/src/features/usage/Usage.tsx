// What was used and how it went: five figures, plots, each with its table.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { ask } from '../../api/client';
import { useTasks } from '../../api/tasks';
import type { UsageLine } from '../../api/types';
import { box } from '../../parts/form';
import { Problem } from '../../parts/Problem';
import { useNow, useTitle } from '../../parts/small';
import { en } from '../../texts/en';
import { money, repositoryName } from '../../texts/format';
import { months, percent, perDay, shares } from './figures';
import { Bars, Shown, Stacked } from './Plot';

const DAYS = 14;
type By = 'day' | 'person' | 'repository' | 'model';

function useUsage(by: By, month: string) {
  return useQuery({
    queryKey: ['usage', by, month],
    queryFn: ({ signal }) =>
      ask<{ lines: UsageLine[] }>('/usage', { query: { by, month }, signal }),
    staleTime: 30_000,
  });
}

export function Usage() {
  useTitle(en.usage.title);
  const [start] = useState(Date.now);
  const now = useNow() || start;
  const choices = months(start, 12);
  const [month, setMonth] = useState(choices[0] ?? '');
  const [by, setBy] = useState<By>('repository');
  const tasks = useTasks();
  const spent = useUsage('day', month);
  const split = useUsage(by, month);
  const list = tasks.data?.tasks ?? [];
  const days = perDay(list, DAYS, now);
  const went = shares(list, DAYS, now);
  const perTask = spent.data?.lines ?? [];
  const cost = perTask.reduce((sum, line) => sum + line.micro_dollars, 0);
  const calls = perTask.reduce((sum, line) => sum + line.calls, 0);
  const unpriced = perTask.reduce((sum, line) => sum + line.unpriced_calls, 0);
  const error = spent.error ?? split.error ?? tasks.error;
  const named = (line: UsageLine) => (by === 'repository' ? repositoryName(line.key) : line.key);
  const sorted = [...(split.data?.lines ?? [])].sort((a, b) => b.micro_dollars - a.micro_dollars);
  const figures: [string, string, string][] = [
    [en.usage.tasks, String(went.tasks), en.usage.lastDays(DAYS)],
    [en.usage.well, percent(went.well, went.ended), en.usage.of(went.well, went.ended)],
    [en.usage.checks, percent(went.passed, went.checked), en.usage.of(went.passed, went.checked)],
    [
      en.usage.cost,
      spent.isPending ? '…' : money(cost),
      unpriced > 0 ? en.usage.unpriced(unpriced) : month,
    ],
    [en.usage.calls, spent.isPending ? '…' : calls.toLocaleString('en'), month],
  ];
  return (
    <div className="mx-auto w-full max-w-[1184px] px-6 pt-8 pb-24 max-sm:px-3 max-sm:pt-4">
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <h1 className="text-20 font-semibold">{en.usage.title}</h1>
        <select
          aria-label={en.usage.month}
          className={`${box} ml-auto w-32!`}
          value={month}
          onChange={(event) => setMonth(event.target.value)}
        >
          {choices.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </div>
      {error && <Problem error={error} again={() => void [spent.refetch(), split.refetch()]} />}
      <dl className="mb-4 grid grid-cols-5 overflow-hidden rounded-l border border-line bg-raised max-md:grid-cols-2">
        {figures.map(([name, figure, under]) => (
          <div key={name} className="border-r border-b border-line p-4 -mr-px -mb-px">
            <dt className="text-12 text-ink-2">{name}</dt>
            <dd>
              <span className="block text-20 font-semibold tabular-nums">{figure}</span>
              <span className="text-12 text-ink-2">{under}</span>
            </dd>
          </div>
        ))}
      </dl>
      <div className="grid grid-cols-2 gap-x-4 max-md:grid-cols-1">
        <Shown
          title={en.usage.perDay}
          plot={
            <Stacked
              label={en.usage.perDay}
              days={days.map((day) => day.day)}
              series={[
                {
                  label: en.usage.changed,
                  colour: 'fill-ink-2',
                  values: days.map((d) => d.changed),
                },
                {
                  label: en.usage.answered,
                  colour: 'fill-control',
                  values: days.map((d) => d.answered),
                },
                { label: en.usage.failed, colour: 'fill-bad', values: days.map((d) => d.failed) },
              ]}
            />
          }
          columns={en.usage.dayColumns}
          rows={days.map((day) => ({
            key: day.day,
            cells: [day.day, day.changed, day.answered, day.failed],
          }))}
        />
        <Shown
          title={en.usage.costPerDay(month)}
          plot={
            <Stacked
              label={en.usage.costPerDay(month)}
              days={perTask.map((line) => line.key)}
              series={[
                {
                  label: en.usage.cost,
                  colour: 'fill-ink-2',
                  values: perTask.map((line) => line.micro_dollars),
                },
              ]}
              format={money}
            />
          }
          columns={en.usage.columns(en.usage.by.day)}
          rows={perTask.map((line) => ({ key: line.key, cells: cells(line.key, line) }))}
        />
      </div>
      <Shown
        title={en.usage.costBy}
        side={
          <select
            aria-label={en.usage.costBy}
            className={`${box} h-7! w-32!`}
            value={by}
            onChange={(event) => setBy(event.target.value as By)}
          >
            {(['repository', 'person', 'model'] as const).map((one) => (
              <option key={one} value={one}>
                {en.usage.by[one]}
              </option>
            ))}
          </select>
        }
        plot={
          <Bars
            label={en.usage.costBy}
            rows={sorted.map((line) => ({ name: named(line), value: line.micro_dollars }))}
            format={money}
          />
        }
        columns={en.usage.columns(en.usage.by[by])}
        rows={sorted.map((line) => ({ key: line.key, cells: cells(line.key, line) }))}
      />
      <p className="text-12 text-ink-2">{en.usage.note(list.length)}</p>
    </div>
  );
}

function cells(name: string, line: UsageLine): string[] {
  const number = (value: number) => value.toLocaleString('en');
  return [
    name,
    number(line.calls),
    number(line.input_tokens),
    number(line.cached_tokens),
    number(line.output_tokens),
    money(line.micro_dollars),
  ];
}
