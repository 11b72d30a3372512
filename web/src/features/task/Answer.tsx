// An answer: its words, with a numbered mark for each citation.
import type { CheckedCitation } from '../../api/types';
import { type Block, blocksOf, type Inline } from './answer';
import { CitationMark } from './CitationMark';
import { written } from './citations';

interface Cites {
  citations: CheckedCitation[];
  open: (chunk: string) => void;
}

export function Answer({ text, ...cites }: { text: string } & Cites) {
  return (
    <div className="max-w-[70ch] space-y-2.5 text-14 break-words">
      {blocksOf(text).map((block, index) => (
        <Drawn key={index} block={block} {...cites} />
      ))}
    </div>
  );
}

function Drawn({ block, ...cites }: { block: Block } & Cites) {
  switch (block.is) {
    case 'pre':
      return (
        <pre className="overflow-x-auto rounded-m border border-line bg-sunken p-3 font-mono text-12">
          {block.text}
        </pre>
      );
    case 'h':
      return (
        <h3 className="pt-1 font-semibold">
          <Words inline={block.inline} {...cites} />
        </h3>
      );
    case 'quote':
      return (
        <blockquote className="border-l-2 border-line-2 pl-3 text-ink-2">
          <Words inline={block.inline} {...cites} />
        </blockquote>
      );
    case 'list': {
      const List = block.ordered ? 'ol' : 'ul';
      return (
        <List className={`space-y-1 pl-5 ${block.ordered ? 'list-decimal' : 'list-disc'}`}>
          {block.items.map((item, index) => (
            <li key={index}>
              <Words inline={item} {...cites} />
            </li>
          ))}
        </List>
      );
    }
    default:
      return (
        <p>
          <Words inline={block.inline} {...cites} />
        </p>
      );
  }
}

function Words({ inline, citations, open }: { inline: Inline[] } & Cites) {
  return inline.map((part, index) => {
    const key = `${index}`;
    switch (part.is) {
      case 'code':
        return (
          <code key={key} className="rounded-s border border-line bg-sunken px-1 font-mono text-12">
            {part.text}
          </code>
        );
      case 'strong':
        return <strong key={key}>{part.text}</strong>;
      case 'link':
        return (
          <a
            key={key}
            href={part.href}
            rel="noreferrer noopener"
            target="_blank"
            className="text-accent underline"
          >
            {part.text}
          </a>
        );
      case 'cite': {
        const at = citations.findIndex((one) => written(one) === part.raw);
        const checked = citations[at];
        return checked ? (
          <CitationMark key={key} number={at + 1} checked={checked} open={open} />
        ) : (
          <span key={key} className="font-mono text-12 text-bad line-through">
            {part.raw}
          </span>
        );
      }
      default:
        return part.text;
    }
  });
}
