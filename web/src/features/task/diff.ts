// Lines of a hunk with their numbers, and which files run by themselves. Pure.
export interface Line {
  key: string;
  sign: string;
  text: string;
  before: number | undefined;
  after: number | undefined;
}

export function drawnLines(hunk: {
  old_first: number;
  new_first: number;
  lines: string[];
}): Line[] {
  let before = hunk.old_first;
  let after = hunk.new_first;
  return hunk.lines.map((line, index) => {
    const sign = line.slice(0, 1);
    const drawn: Line = {
      key: String(index),
      sign,
      text: line.slice(1),
      before: undefined,
      after: undefined,
    };
    if (sign === ' ' || sign === '-') drawn.before = before++;
    if (sign === ' ' || sign === '+') drawn.after = after++;
    return drawn;
  });
}

const RUNS =
  /(^|\/)(\.github\/workflows\/|\.gitlab-ci\.yml$|\.husky\/|\.githooks\/|\.vscode\/(tasks|settings)\.json$|\.devcontainer\/|Makefile$|package\.json$|setup\.py$|build\.rs$|conftest\.py$|\.envrc$|\.pre-commit-config\.yaml$|Dockerfile$|\.ci\/)/;

/** Files that tools run without being asked: a person reads those first. */
export function runsByItself(path: string): boolean {
  return RUNS.test(path);
}

const TEST =
  /(^|\/)(tests?|__tests__|spec)\/|(^|\/)test_[^/]*$|[._-](test|spec)s?\.[a-z]+$|[a-z]Tests?\.[a-z]+$/;

/** Tests: who changes those may have made them pass by that. */
export function isTest(path: string): boolean {
  return TEST.test(path);
}

/** Part of a line that may have changed before the whole of it is called changed. */
const MOST = 0.6;

/** Of each line of a hunk the part that changed, where it is one of a pair; from and to. */
export function changedWords(lines: string[]): ([number, number] | undefined)[] {
  const found: ([number, number] | undefined)[] = lines.map(() => undefined);
  let at = 0;
  while (at < lines.length) {
    const minus = run(lines, at, '-');
    const plus = run(lines, at + minus, '+');
    if (minus > 0 && minus === plus) {
      for (let i = 0; i < minus; i++) {
        const pair = between(lines[at + i] ?? '', lines[at + minus + i] ?? '');
        if (pair) [found[at + i], found[at + minus + i]] = pair;
      }
    }
    at += Math.max(minus + plus, 1);
  }
  return found;
}

function run(lines: string[], from: number, sign: string): number {
  let count = 0;
  while (lines[from + count]?.startsWith(sign)) count++;
  return count;
}

function between(a: string, b: string): [[number, number], [number, number]] | undefined {
  const [before, after] = [a.slice(1), b.slice(1)];
  const short = Math.min(before.length, after.length);
  let head = 0;
  while (head < short && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < short - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const changed = Math.max(before.length, after.length) - head - tail;
  if (changed > MOST * Math.max(before.length, after.length)) return undefined;
  return [
    [head, before.length - tail],
    [head, after.length - tail],
  ];
}
