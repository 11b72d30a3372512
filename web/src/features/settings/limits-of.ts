// What fields of a budget say, as the server wants it. Pure.

/** Empty fields are no limit; `0` is one. */
export function quotaOf(dollars: string, tokens: string, atOnce: string) {
  const number = (text: string) => (text.trim() === '' ? null : Number(text));
  const money = number(dollars);
  return {
    month_micro_dollars: money === null ? null : Math.round(money * 1_000_000),
    month_tokens: number(tokens),
    at_once: number(atOnce),
  };
}
