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
