import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { expect, test } from 'vitest';
import { Answer } from './Answer';

const drawn = (text: string) =>
  renderToStaticMarkup(createElement(Answer, { text, citations: [], open: () => undefined }));

test('tags, pictures and links that act stay words', () => {
  const html = drawn(
    '<script>x()</script><img src=x onerror=x()>\n\n![seen](https://e.org/a.png) [go](javascript:x()) [web](https://e.org)',
  );
  expect(html).not.toMatch(/<(script|img|iframe|svg)/);
  expect(html).toContain('&lt;script&gt;');
  expect(html).toContain('[seen]');
  expect(html.match(/href="[^"]*"/g)).toEqual(['href="https://e.org"']);
});

test('a citation keeps the underlines and stars of its path, also within code', () => {
  expect(drawn('<b>bold</b> 【F:x†L1】')).toContain('【F:x†L1】');
  const html = drawn('Both 【F:a_b_*c*.py†L1】 and `【F:x†L2】` stand.');
  expect(html).toContain('【F:a_b_*c*.py†L1】');
  expect(html).toMatch(/<code[^>]*>【F:x†L2】<\/code>/);
});
