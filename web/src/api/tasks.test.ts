import { expect, test } from 'vitest';
import { withChanged } from './tasks';
import type { TaskPage, TaskSummary } from './types';

const task = (number: number, changed: number, more: object = {}) =>
  ({ task: number, changed, title: `t${number}`, ...more }) as TaskSummary;

test('a change replaces its row, an older one does not, a new task comes on top, an archived one goes', () => {
  const page = { tasks: [task(3, 30), task(2, 20), task(1, 10)], changed: 30 } as TaskPage;
  const next = withChanged(page, [
    task(2, 15),
    task(4, 40),
    task(1, 41, { archived_at: 1 }),
    task(3, 42),
  ]);
  expect(next.tasks.map(({ task, changed }) => [task, changed])).toEqual([
    [4, 40],
    [3, 42],
    [2, 20],
  ]);
  expect(next.changed).toBe(42);
});
