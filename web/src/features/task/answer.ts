// From an answer's Markdown to blocks that React draws: no HTML is ever made of it. Pure.
export type Inline =
  | { is: 'text' | 'code' | 'strong' | 'em'; text: string }
  | { is: 'link'; text: string; href: string }
  | { is: 'cite'; raw: string };
export type Block =
  | { is: 'p' | 'h' | 'quote'; inline: Inline[] }
  | { is: 'list'; ordered: boolean; items: Inline[][] }
  | { is: 'pre'; text: string };

/** Blocks of an answer. What is not understood stays as it was written. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  const lines = markdown.replaceAll('\r\n', '\n').split('\n');
  let open: string[] = [];
  const close = () => {
    if (open.length > 0) blocks.push({ is: 'p', inline: inlineOf(open.join(' ')) });
    open = [];
  };
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    if (/^\s*```/.test(line)) {
      close();
      const body: string[] = [];
      while (++at < lines.length && !/^\s*```/.test(lines[at] ?? '')) body.push(lines[at] ?? '');
      blocks.push({ is: 'pre', text: body.join('\n') });
      continue;
    }
    const head = /^#{1,6}\s+(.*)/.exec(line) ?? /^\*\*([^*]+)\*\*$/.exec(line.trim());
    const item = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)/.exec(line);
    const quote = /^>\s?(.*)/.exec(line);
    if (head) {
      close();
      blocks.push({ is: 'h', inline: inlineOf(head[1] ?? '') });
    } else if (item) {
      close();
      const last = blocks.at(-1);
      const ordered = item[1] !== undefined;
      const inline = inlineOf(item[2] ?? '');
      if (last?.is === 'list' && last.ordered === ordered && (lines[at - 1] ?? '').trim())
        last.items.push(inline);
      else blocks.push({ is: 'list', ordered, items: [inline] });
    } else if (quote) {
      close();
      blocks.push({ is: 'quote', inline: inlineOf(quote[1] ?? '') });
    } else if (line.trim() === '') close();
    else open.push(line);
  }
  close();
  return blocks;
}

const TOKEN =
  /(`+)([^`]+)\1|\*\*([^*]+)\*\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)|(【[^】]{1,4200}】)/g;

/** Text with its code, weight, links to the web, and citations. Anything else is text. */
export function inlineOf(text: string): Inline[] {
  const found: Inline[] = [];
  let last = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > last) found.push({ is: 'text', text: text.slice(last, match.index) });
    last = match.index + match[0].length;
    if (match[2] !== undefined) found.push({ is: 'code', text: match[2] });
    else if (match[3] !== undefined) found.push({ is: 'strong', text: match[3] });
    else if (match[4] !== undefined)
      found.push({ is: 'link', text: match[4], href: match[5] ?? '' });
    else found.push({ is: 'cite', raw: match[6] ?? '' });
  }
  if (last < text.length) found.push({ is: 'text', text: text.slice(last) });
  return found;
}
