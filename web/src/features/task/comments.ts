// Comments on lines of the change, kept on the device until they are sent together.
export interface Comment {
  path: string;
  side: 'before' | 'after';
  line: number;
  /** The line as it was when the comment was written. */
  quote: string;
  text: string;
}

const name = (task: number) => `quire.comments.${task}`;

export function loadComments(task: number): Comment[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(name(task)) ?? '[]');
    return Array.isArray(kept) ? (kept as Comment[]) : [];
  } catch {
    return [];
  }
}

export function keepComments(task: number, comments: Comment[]): void {
  try {
    if (comments.length > 0) localStorage.setItem(name(task), JSON.stringify(comments));
    else localStorage.removeItem(name(task));
  } catch {
    // A full or forbidden storage costs the comments of a closed tab, not the page.
  }
}

/** What the agent is told: each comment with its file, its line and what stands there. */
export function asPrompt(comments: Comment[]): string {
  const each = comments
    .filter((one) => one.text.trim())
    .map(
      ({ path, side, line, quote, text }) =>
        `${path}, line ${line}${side === 'before' ? ' before the change' : ''}:\n> ${quote}\n\n${text.trim()}`,
    );
  return `Comments on the change:\n\n${each.join('\n\n')}`;
}
