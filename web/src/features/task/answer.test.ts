import { expect, test } from 'vitest';
import { blocksOf, inlineOf } from './answer';

test('a citation, code and weight are told apart, and all else stays text', () => {
  expect(inlineOf('**So** `x` 【F:a b.py†L1-L2】.')).toEqual([
    { is: 'strong', text: 'So' },
    { is: 'text', text: ' ' },
    { is: 'code', text: 'x' },
    { is: 'text', text: ' ' },
    { is: 'cite', raw: '【F:a b.py†L1-L2】' },
    { is: 'text', text: '.' },
  ]);
});

test('hostile Markdown makes no links but to the web, and no markup', () => {
  const text =
    '<script>alert(1)</script> [x](javascript:alert(1)) ![y](https://elsewhere.example/p.png)';
  const kinds = blocksOf(text).flatMap((block) => ('inline' in block ? block.inline : []));
  expect(
    kinds.filter((part) => part.is === 'link').map((part) => part.is === 'link' && part.href),
  ).toEqual(['https://elsewhere.example/p.png']);
  expect(kinds.some((part) => part.is === 'text' && part.text.includes('<script>'))).toBe(true);
});
