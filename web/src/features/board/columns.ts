// From the list of tasks to the columns of the board, and where a key moves to. Pure.
import type { TaskSummary } from '../../api/types';
import { type Group, groupOf } from '../../parts/StateMark';

export const columns: Group[] = ['you', 'queued', 'working', 'done'];

/** Cards that the last column shows; the list has the others. */
export const MOST_DONE = 50;

export function columnsOf(tasks: TaskSummary[]): Record<Group, TaskSummary[]> {
  const found: Record<Group, TaskSummary[]> = { you: [], queued: [], working: [], done: [] };
  for (const task of tasks) found[groupOf(task.state)].push(task);
  return found;
}

/**
 * The card that a step leads to: `down` within its column, `across` to the next column that has
 * cards, at the same height or its last one. The first card if none is chosen.
 */
export function step(
  board: Record<Group, TaskSummary[]>,
  from: number | null,
  across: number,
  down: number,
): number | null {
  const filled = columns.map((group) => board[group]).filter((cards) => cards.length > 0);
  const column = filled.findIndex((cards) => cards.some((card) => card.task === from));
  if (column < 0) return filled[0]?.[0]?.task ?? null;
  const cards = filled[column] ?? [];
  const row = cards.findIndex((card) => card.task === from);
  const into = filled[Math.min(Math.max(column + across, 0), filled.length - 1)] ?? [];
  const at = Math.min(Math.max(row + down, 0), into.length - 1);
  return into[at]?.task ?? null;
}
