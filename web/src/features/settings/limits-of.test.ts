import { expect, test } from 'vitest';
import { quotaOf } from './limits-of';

test('an empty field is no limit, and nothing at all is one', () => {
  expect(quotaOf('', '0', ' ')).toEqual({
    month_micro_dollars: null,
    month_tokens: 0,
    at_once: null,
  });
  expect(quotaOf('0.29', '', '2')).toMatchObject({ month_micro_dollars: 290_000, at_once: 2 });
});
