import { expect, test } from 'vitest';
import type { Wire } from '../../api/types';
import { deniedIn, phasesOf, ruleFor } from './recent';

const event = (kind: string, body: unknown, at = 1) => ({ kind, body, at }) as unknown as Wire;

test('denied requests are one row a rule, with the tasks that made them', () => {
  const denied = (at: number) =>
    event('egress_denied', { host: 'a.example:443', rule: 'a.example', times: 2 }, at);
  const rows = deniedIn([
    { task: 1, events: [denied(5), denied(7)] },
    { task: 2, events: [denied(6), event('egress_allowed', { host: 'b:1', rule: 'b' })] },
  ]);
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({ times: 6, at: 7, tasks: [1, 2] });
});

test('a phase that still runs has no time', () => {
  const rows = phasesOf([
    event('phase_started', { phase: 'checkout' }),
    event('phase_finished', { phase: 'checkout', ms: 9, detail: 'cache hit' }),
    event('phase_started', { phase: 'setup' }),
  ]);
  expect(rows.map((row) => row.ms)).toEqual([9, null]);
});

test('what is allowed is no more than what was asked for', () => {
  expect(ruleFor({ rule: 'a.example', method: 'GET' })).toBe('a.example GET');
  expect(ruleFor({ rule: 'a.example POST', method: 'POST' })).toBe('a.example POST');
  expect(ruleFor({ rule: 'a.example', method: 'CONNECT' })).toBe('a.example');
});
