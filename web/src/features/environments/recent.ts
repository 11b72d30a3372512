// From the events of attempts to what was denied and what preparing took. Pure.
import type { Wire } from '../../api/types';

export interface Denied {
  rule: string;
  host: string;
  method: string | null;
  reason: string | null;
  times: number;
  at: number;
  tasks: number[];
}

export interface PhaseDone {
  phase: string;
  ms: number | null;
  detail: string;
  failed: boolean;
}

interface Body {
  rule?: string;
  host?: string;
  method?: string;
  reason?: string;
  times?: number;
  phase?: string;
  ms?: number;
  detail?: string;
  failed?: boolean;
}

export interface Told {
  task: number;
  events: Wire[];
}

/** Requests that were denied, one row a rule that would allow them, the newest first. */
export function deniedIn(told: Told[]): Denied[] {
  const found = new Map<string, Denied>();
  for (const { task, events } of told) {
    for (const event of events) {
      if (event.kind !== 'egress_denied') continue;
      const body = (event.body ?? {}) as Body;
      const key = `${body.host} ${body.method ?? ''} ${body.rule}`;
      const row = found.get(key) ?? {
        rule: body.rule ?? '',
        host: body.host ?? '',
        method: body.method ?? null,
        reason: body.reason ?? null,
        times: 0,
        at: 0,
        tasks: [],
      };
      row.times += body.times ?? 1;
      row.at = Math.max(row.at, event.at);
      if (!row.tasks.includes(task)) row.tasks.push(task);
      found.set(key, row);
    }
  }
  return [...found.values()].sort((a, b) => b.at - a.at);
}

/** The narrowest rule that allows it: of the method that was seen, where one was. */
export function ruleFor(row: Pick<Denied, 'rule' | 'method'>): string {
  const seen = row.method && row.method !== 'CONNECT' && /^[A-Z]+$/.test(row.method);
  return seen && !row.rule.includes(' ') ? `${row.rule} ${row.method}` : row.rule;
}

/** The phases before the first model call, in order; one that runs has no time yet. */
export function phasesOf(events: Wire[]): PhaseDone[] {
  const rows: PhaseDone[] = [];
  for (const event of events) {
    const body = (event.body ?? {}) as Body;
    if (event.kind === 'phase_started') {
      rows.push({ phase: body.phase ?? '', ms: null, detail: '', failed: false });
    } else if (event.kind === 'phase_finished') {
      const row = rows.findLast((one) => one.phase === body.phase && one.ms === null);
      const done = {
        phase: body.phase ?? '',
        ms: body.ms ?? 0,
        detail: body.detail ?? '',
        failed: body.failed ?? false,
      };
      if (row) Object.assign(row, done);
      else rows.push(done);
    } else if (event.kind === 'model_replied') break;
  }
  return rows.filter((row) => row.phase !== 'collect' && row.phase !== 'checks');
}

/** What the environment was made of, each a line for a person. */
export function notesOf(events: Wire[]): string[] {
  const base = events.find((event) => event.kind === 'base_captured');
  return ((base?.body ?? {}) as { notes?: string[] }).notes ?? [];
}
