import { expect, test } from 'vitest';
import { withAllowed } from './recipe';

test('a rule is added where the rules are, and comments stay', () => {
  const said = (agent: string) => `# mine\n[network]\nagent = ${agent} # why\n[limits]\n`;
  expect(withAllowed(said('"off"'), 'a.example GET')).toBe(said('["a.example GET"]'));
  expect(withAllowed(said('"packages"'), 'a.example')).toBe(said('["packages", "a.example"]'));
  expect(withAllowed(said('["b.example",]'), 'a.example')).toBe(said('["b.example", "a.example"]'));
  expect(withAllowed(said('["a.example"]'), 'a.example')).toBe(said('["a.example"]'));
  expect(withAllowed('', 'a.example')).toBe('[network]\nagent = ["a.example"]\n');
});

test('a form that it does not know is left to the person', () => {
  expect(withAllowed('network = { agent = "off" }', 'a.example')).toBeNull();
  expect(withAllowed('network.agent = "off"', 'a.example')).toBeNull();
  expect(withAllowed('[network]\nagent = [\n"b.example",\n]\n', 'a.example')).toBeNull();
});
