import { expect, test } from 'vitest';
import { pieces, plain } from './ansi';

test('colours stay, and titles, links, moves and bells do nothing', () => {
  expect(pieces('\x1b[1;31mFAIL\x1b[0m x')).toEqual([
    { text: 'FAIL', look: 'text-bad font-semibold' },
    { text: ' x', look: '' },
  ]);
  expect(
    plain('\x1b]0;title\x07\x1b[2J\x1b[Hhome \x1b]8;;javascript:x\x1b\\link\x1b]8;;\x1b\\'),
  ).toBe('home link');
  expect(plain('10%\r20%\rdone\r')).toBe('done');
  expect(plain('<b>html</b>')).toBe('<b>html</b>');
});
