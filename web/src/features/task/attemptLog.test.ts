import { expect, test } from 'vitest';
import type { Wire } from '../../api/types';
import { emptyLog, fold } from './attemptLog';

const event = (seq: number, kind: string, body: unknown) =>
  ({ seq, at: seq * 10, epoch: 1, kind, body, prev_hash: '', hash: '' }) as unknown as Wire;

const events = [
  event(1, 'phase_started', { phase: 'checkout' }),
  event(2, 'phase_finished', { phase: 'checkout', ms: 9, detail: 'cache hit', failed: false }),
  event(3, 'command_started', { chunk: 'aa11', command: 'pytest', purpose: { call: 'c1' } }),
  event(4, 'dreamt', { of: 'sheep' }),
  event(5, 'command_finished', {
    chunk: { id: 'aa11', size: { bytes: 9, lines: 2 } },
    exit: { code: 1 },
    ms: 70,
  }),
  event(6, 'model_replied', { reply: { items: [{ text: 'Done 【aa11†L1】' }] } }),
  event(7, 'answered', { text: 'Done 【aa11†L1】' }),
];

test('events that come twice, and in parts, come to the same log', () => {
  const whole = fold(emptyLog, events);
  const parts = events.reduce((log, _, at) => fold(log, events.slice(0, at + 1)), emptyLog);
  expect(parts).toEqual(whole);
  expect(fold(whole, events)).toBe(whole);
  expect(whole.entries.map((entry) => entry.kind)).toEqual(['phase', 'command']);
  expect(whole.entries[1]).toMatchObject({ end: { exit: { code: 1 }, lines: 2 } });
});

test('the answer is not said twice', () => {
  const log = fold(emptyLog, events);
  expect(log.spoken).toEqual([]);
  expect(log.answer).toContain('Done');
});
