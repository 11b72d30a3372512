import { expect, test } from 'vitest';
import { asPrompt } from './comments';
import { changedWords, isTest } from './diff';

test('comments are told with their file, line and what stands there; empty ones are not', () => {
  const one = { path: 'a.py', side: 'after' as const, line: 3, quote: 'x = 1', text: ' Why? ' };
  expect(asPrompt([one, { ...one, text: ' ' }])).toBe(
    'Comments on the change:\n\na.py, line 3:\n> x = 1\n\nWhy?',
  );
});

test('the changed middle of a pair is marked, and nothing where most of it changed', () => {
  expect(changedWords(['-let a = 1;', '+let a = 22;'])).toEqual([
    [8, 9],
    [8, 10],
  ]);
  expect(changedWords(['-abc', '+xyz'])).toEqual([undefined, undefined]);
  expect(changedWords(['-a b', ' c', '+a d'])).toEqual([undefined, undefined, undefined]);
});

test('tests are known by their names', () => {
  for (const path of ['tests/a.py', 'x_test.go', 'a.test.ts', 'src/test_x.py', 'FooTest.java'])
    expect(isTest(path), path).toBe(true);
  expect(isTest('src/contest.py')).toBe(false);
});
