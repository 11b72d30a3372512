// Edits of a recipe's text that buttons make, so that comments and order stay as people wrote them.

/**
 * The recipe with one more rule for the agent's network. `null` where the text is of a form that is
 * better changed by hand: nothing is guessed.
 */
export function withAllowed(recipe: string, rule: string): string | null {
  const word = JSON.stringify(rule);
  const lines = recipe.split('\n');
  const table = lines.findIndex((line) => /^\s*\[network\]\s*(#.*)?$/.test(line));
  if (table < 0) {
    if (/^\s*(network\s*[.=]|\[\s*["']?network["']?\s*[\].])/m.test(recipe)) return null;
    const before = recipe.trimEnd();
    return `${before}${before ? '\n\n' : ''}[network]\nagent = [${word}]\n`;
  }
  const next = lines.findIndex((line, index) => index > table && /^\s*\[/.test(line));
  const end = next < 0 ? lines.length : next;
  const at = lines.findIndex(
    (line, index) => index > table && index < end && /^\s*agent\s*=/.test(line),
  );
  if (at < 0) {
    lines.splice(table + 1, 0, `agent = [${word}]`);
    return lines.join('\n');
  }
  const found = /^(\s*agent\s*=\s*)("off"|"packages"|\[.*\])(\s*(?:#.*)?)$/.exec(lines[at] ?? '');
  if (!found) return null;
  const [, head, value = '', tail] = found;
  let rules: unknown;
  try {
    rules = value.startsWith('[') ? JSON.parse(value.replace(/,\s*\]$/, ']')) : JSON.parse(value);
  } catch {
    return null;
  }
  const list = Array.isArray(rules) ? rules : rules === 'off' ? [] : [rules];
  if (list.includes(rule)) return recipe;
  lines[at] = `${head}[${[...list, rule].map((one) => JSON.stringify(one)).join(', ')}]${tail}`;
  return lines.join('\n');
}

/** What a new environment begins with. */
export const firstRecipe = `# What runs once, as root, with network, before the first task. Lock files decide if it is left out.
# setup = """
# npm ci
# """

# Quire runs these itself on the final commit.
# [[checks]]
# name = "tests"
# command = "npm test"

[network]
agent = "off"
`;
