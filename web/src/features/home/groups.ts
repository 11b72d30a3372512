// From the list of tasks to the rows that are drawn. Pure.
import type { TaskSummary } from '../../api/types';
import { type Group, groupOf } from '../../parts/StateMark';

export const order: Group[] = ['you', 'working', 'queued', 'done'];
export type Row =
  | { kind: 'head'; group: Group; count: number }
  | { kind: 'task'; task: TaskSummary };

/** The tasks that fit the words. */
export function fitting(tasks: TaskSummary[], text: string): TaskSummary[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return tasks.filter((task) => {
    const hay = `${task.title} ${task.repository} #${task.task}`.toLowerCase();
    return words.every((word) => hay.includes(word));
  });
}

export function counts(tasks: TaskSummary[]): Record<Group, number> {
  const found: Record<Group, number> = { you: 0, working: 0, queued: 0, done: 0 };
  for (const task of tasks) found[groupOf(task.state)] += 1;
  return found;
}

/** Heads and tasks, what needs a person first; of one group alone if one is given. */
export function rowsOf(tasks: TaskSummary[], only: Group | null): Row[] {
  const rows: Row[] = [];
  for (const group of only ? [only] : order) {
    const inside = tasks.filter((task) => groupOf(task.state) === group);
    if (inside.length === 0) continue;
    rows.push({ kind: 'head', group, count: inside.length });
    for (const task of inside) rows.push({ kind: 'task', task });
  }
  return rows;
}
