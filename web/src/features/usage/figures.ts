// From the months that the server sums up, and the tasks that the page has, to figures. Pure.
import type { TaskSummary } from '../../api/types';

export interface Day {
  day: string;
  changed: number;
  answered: number;
  failed: number;
}

export interface Shares {
  tasks: number;
  ended: number;
  well: number;
  checked: number;
  passed: number;
}

const DAY_MS = 86_400_000;

export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** One entry a day of the last `days`, oldest first, by the day (UTC) a task was handed in. */
export function perDay(tasks: TaskSummary[], days: number, now: number): Day[] {
  const found = new Map<string, Day>();
  for (let back = days - 1; back >= 0; back -= 1) {
    const day = dayOf(now - back * DAY_MS);
    found.set(day, { day, changed: 0, answered: 0, failed: 0 });
  }
  for (const task of tasks) {
    const day = found.get(dayOf(task.created_at));
    const outcome = task.state.outcome?.outcome;
    if (!day || !outcome) continue;
    if (outcome === 'changed') day.changed += 1;
    else if (outcome === 'failed' || outcome === 'cancelled') day.failed += 1;
    else day.answered += 1;
  }
  return [...found.values()];
}

/** How many ended well, and how many of those with checks passed all of them. */
export function shares(tasks: TaskSummary[], days: number, now: number): Shares {
  const sum: Shares = { tasks: 0, ended: 0, well: 0, checked: 0, passed: 0 };
  for (const task of tasks) {
    if (task.created_at < now - days * DAY_MS) continue;
    sum.tasks += 1;
    const outcome = task.state.outcome?.outcome;
    if (!outcome || outcome === 'cancelled') continue;
    sum.ended += 1;
    if (outcome !== 'failed') sum.well += 1;
    const run = task.attempts.filter((attempt) => (attempt.result?.checks_run ?? 0) > 0);
    if (run.length === 0) continue;
    sum.checked += 1;
    const whole = run.some(
      (attempt) => attempt.result?.checks_passed === attempt.result?.checks_run,
    );
    if (whole) sum.passed += 1;
  }
  return sum;
}

/** "84 %", or a dash where there is nothing to divide by. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? '–' : `${Math.round((100 * part) / whole)} %`;
}

/** The months before and with that of `now`, newest first: `YYYY-MM`. */
export function months(now: number, count: number): string[] {
  const date = new Date(now);
  return Array.from({ length: count }, (_, back) => {
    const first = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() - back, 1));
    return first.toISOString().slice(0, 7);
  });
}
