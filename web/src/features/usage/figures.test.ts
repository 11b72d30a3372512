import { expect, test } from 'vitest';
import type { TaskSummary } from '../../api/types';
import { months, percent, perDay, shares } from './figures';

const now = Date.UTC(2026, 0, 31, 12);
const task = (at: number, outcome: string | null, run = 0, passed = 0) =>
  ({
    created_at: at,
    state: outcome ? { state: 'done', outcome: { outcome } } : { state: 'working' },
    attempts: [{ result: { checks_run: run, checks_passed: passed } }],
  }) as unknown as TaskSummary;
const tasks = [
  task(now, 'changed', 2, 2),
  task(now, 'changed', 2, 1),
  task(now, 'failed'),
  task(now, null),
  task(now, 'cancelled'),
  task(now - 40 * 86_400_000, 'changed', 1, 1),
];

test('what runs, was cancelled or is too old counts neither for nor against', () => {
  expect(shares(tasks, 14, now)).toEqual({ tasks: 5, ended: 3, well: 2, checked: 2, passed: 1 });
  expect(percent(0, 0)).toBe('–');
});

test('days without tasks are there, and months go back over the year', () => {
  const days = perDay(tasks, 3, now);
  expect(days.map((day) => day.day)).toEqual(['2026-01-29', '2026-01-30', '2026-01-31']);
  expect(days[2]).toMatchObject({ changed: 2, answered: 0, failed: 2 });
  expect(months(now, 3)).toEqual(['2026-01', '2025-12', '2025-11']);
});
