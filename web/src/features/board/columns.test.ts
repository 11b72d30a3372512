import { expect, test } from 'vitest';
import type { TaskSummary } from '../../api/types';
import { columnsOf, step } from './columns';

const task = (number: number, state: string) =>
  ({ task: number, state: { state }, attempts: [] }) as unknown as TaskSummary;
const board = columnsOf([
  task(1, 'waiting_for_user'),
  task(2, 'waiting_for_approval'),
  task(3, 'done'),
]);

test('a step goes over empty columns and stays within a shorter one', () => {
  expect(step(board, null, 0, 1)).toBe(1);
  expect(step(board, 1, 0, 1)).toBe(2);
  expect(step(board, 2, 0, 1)).toBe(2);
  expect(step(board, 2, 1, 0)).toBe(3);
  expect(step(board, 3, 1, 0)).toBe(3);
});
