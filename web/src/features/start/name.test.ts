import { expect, test } from 'vitest';
import { nameFor } from './name';

test('a repository is named after where it lies, in words that the server takes', () => {
  expect(nameFor('https://example.org/team/ledger.git')).toBe('ledger');
  expect(nameFor(' /srv/My Repö/ ')).toBe('My-Repo');
  expect(nameFor('/')).toBe('repository');
});
