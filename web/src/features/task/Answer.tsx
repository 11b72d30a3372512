// An answer: its words, with a numbered mark for each citation.
import { memo, useMemo } from 'react';
import Markdown, { type Components } from 'react-markdown';
import gfm from 'remark-gfm';
import type { CheckedCitation } from '../../api/types';
import { CitationMark } from './CitationMark';
import { type Place, written } from './citations';
import { ALLOWED, hold, putBack, safeUrl } from './markdown';

interface Cites {
  citations: CheckedCitation[];
  open: (place: Place) => void;
}

const head: Components['h1'] = ({ children }) => <h3 className="pt-1 font-semibold">{children}</h3>;

/** How each element is drawn; citations are added by `Answer`. */
const drawn: Components = {
  h1: head,
  h2: head,
  h3: head,
  h4: head,
  h5: head,
  h6: head,
  pre: ({ children }) => (
    <pre
      tabIndex={0}
      className="overflow-x-auto rounded-m border border-line bg-sunken p-3 font-mono text-12 [&>code]:border-0 [&>code]:p-0"
    >
      {children}
    </pre>
  ),
  code: ({ children }) => (
    <code className="rounded-s border border-line bg-sunken px-1 font-mono text-12">
      {children}
    </code>
  ),
  blockquote: ({ children }) => (
    <blockquote className="border-l-2 border-line-2 pl-3 text-ink-2">{children}</blockquote>
  ),
  ul: ({ children }) => <ul className="list-disc space-y-1 pl-5">{children}</ul>,
  ol: ({ children, start }) => (
    <ol start={start} className="list-decimal space-y-1 pl-5">
      {children}
    </ol>
  ),
  a: ({ children, href }) =>
    href ? (
      <a href={href} rel="noreferrer noopener" target="_blank" className="text-accent underline">
        {children}
      </a>
    ) : (
      <span>{children}</span>
    ),
  // Nothing is fetched from elsewhere: a picture is its words.
  img: ({ alt }) => <span className="text-ink-2">[{alt}]</span>,
  hr: () => <hr className="border-line" />,
  table: ({ children }) => (
    <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Table">
      <table className="border-collapse text-13 [&_td]:border [&_td]:border-line [&_td]:px-2.5 [&_td]:py-1 [&_th]:border [&_th]:border-line [&_th]:bg-sunken [&_th]:px-2.5 [&_th]:py-1 [&_th]:text-left [&_th]:font-medium">
        {children}
      </table>
    </div>
  ),
};

export const Answer = memo(function Answer({ text, citations, open }: { text: string } & Cites) {
  const { text: clean, held } = useMemo(() => hold(text), [text]);
  const components = useMemo<Components>(
    () => ({
      ...drawn,
      cite: ({ title }) => {
        const at = citations.findIndex((one) => written(one) === title);
        const checked = citations[at];
        return checked ? (
          <CitationMark number={at + 1} checked={checked} open={open} />
        ) : (
          <span className="font-mono text-12 text-ink-3">{title}</span>
        );
      },
    }),
    [citations, open],
  );
  const back = useMemo(() => [putBack(held)], [held]);
  return (
    <div className="max-w-[70ch] space-y-2.5 text-14 break-words">
      <Markdown
        remarkPlugins={[gfm]}
        // biome-ignore lint/suspicious/noExplicitAny: the tree's own types are not a dependency of ours.
        rehypePlugins={back as any}
        allowedElements={ALLOWED}
        unwrapDisallowed
        urlTransform={safeUrl}
        components={components}
      >
        {clean}
      </Markdown>
    </div>
  );
});
