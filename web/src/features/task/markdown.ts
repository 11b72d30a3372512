// What Markdown of an answer may become, and its citations on their way through the parser. Pure.

/** The elements that are drawn; anything else loses its tag and keeps its words. */
export const ALLOWED = [
  'p',
  'br',
  'hr',
  'h1',
  'h2',
  'h3',
  'h4',
  'h5',
  'h6',
  'strong',
  'em',
  'del',
  'code',
  'pre',
  'ul',
  'ol',
  'li',
  'blockquote',
  'a',
  'img',
  'table',
  'thead',
  'tbody',
  'tr',
  'th',
  'td',
  'cite',
];

const CITATION = /【[^】]{1,4200}】/g;
const HELD = /\uE000(\d+)\uE001/g;

/** The text with its citations put aside, so that no `_` or `*` in a path is taken for Markdown. */
export function hold(text: string): { text: string; held: string[] } {
  const held: string[] = [];
  const clean = text.replaceAll(/[\uE000\uE001]/g, '');
  return { text: clean.replace(CITATION, (raw) => `\uE000${held.push(raw) - 1}\uE001`), held };
}

/** A link that may be followed: to the web alone. */
export function safeUrl(url: string): string {
  return /^https?:\/\//i.test(url) ? url : '';
}

export interface Node {
  type: string;
  tagName?: string;
  value?: string;
  properties?: Record<string, unknown>;
  children?: Node[];
}

/** Puts the citations back: as `cite` elements, or as they were written where it is code. */
export function putBack(held: string[]) {
  return () => (tree: Node) => walk(tree, held, false);
}

function walk(node: Node, held: string[], code: boolean): void {
  if (!node.children) return;
  node.children = node.children.flatMap((child): Node[] => {
    // Tags are `raw` until they are drawn as the words that they are.
    if (child.type !== 'text' && child.type !== 'raw') {
      walk(child, held, code || child.tagName === 'code');
      return [child];
    }
    const value = child.value ?? '';
    if (code) return [{ ...child, value: value.replace(HELD, (_, at) => held[Number(at)] ?? '') }];
    const parts: Node[] = [];
    let last = 0;
    for (const match of value.matchAll(HELD)) {
      if (match.index > last) parts.push({ type: 'text', value: value.slice(last, match.index) });
      last = match.index + match[0].length;
      const raw = held[Number(match[1])] ?? '';
      parts.push({ type: 'element', tagName: 'cite', properties: { title: raw }, children: [] });
    }
    if (last < value.length) parts.push({ type: 'text', value: value.slice(last) });
    return parts;
  });
}
