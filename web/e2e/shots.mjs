// Takes a picture of each page in dark, light and on a phone, and looks at each with axe.
// `npm run shots -- DIRECTORY`: it brings its own server, repository and played model.
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';

const into = process.argv[2];
if (!into) {
  console.error('usage: npm run shots -- DIRECTORY');
  process.exit(2);
}
mkdirSync(into, { recursive: true });
process.env.AXE = '1';
const { stage } = await import('./stage.mjs');
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const on = await stage();
const { page } = on;
let bad = 0;

async function look(name) {
  await page.waitForTimeout(700);
  await page.screenshot({ path: `${into}/${name}.png` });
  await page.addScriptTag({ path: axe });
  const found = await page.evaluate(() =>
    window.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
    }),
  );
  for (const one of found.violations) {
    bad += 1;
    console.log(
      name,
      one.id,
      one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)),
    );
  }
}

try {
  await page.goto(`${on.origin}/`);
  await look('empty-1440');
  const code = await on.hand('CODE: count in the change log');
  const many = await on.hand('MANY: print 5,001 lines');
  const hostile = await on.hand('HOSTILE: odd names and tags');
  const plan = await on.hand('PLANS: write two lines', 'Plan');
  const asks = await on.hand('WONDERS: which line?');
  const works = await on.hand('STUCK: watch it');
  await page.selectOption('select[aria-label="Attempts"]', '3');
  const three = await on.hand('ASKS: what is it, three times?', 'Ask');
  await on.open(code);
  await page.getByRole('button', { name: /^Citation 1,/ }).waitFor();
  const views = [
    ['home', '/'],
    ['done', `/tasks/${code}`],
    ['log', `/tasks/${many}?tab=log`],
    ['diff', `/tasks/${hostile}?tab=diff`],
    ['files', `/tasks/${code}?tab=files&file=CHANGES.md&lines=%2212-12%22`],
    ['plan', `/tasks/${plan}`],
    ['question', `/tasks/${asks}`],
    ['working', `/tasks/${works}`],
    ['attempts', `/tasks/${three}?tab=attempts`],
    ['board', '/board'],
    ['usage', '/usage'],
    ['environments', '/environments'],
  ];
  for (const [width, height, theme] of [
    [1440, 900, 'dark'],
    [1440, 900, 'light'],
    [390, 844, 'light'],
  ]) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: theme });
    for (const [name, path] of views) {
      await page.goto(on.origin + path);
      await page.getByRole('heading', { level: 1 }).waitFor({ state: 'attached' });
      if (name === 'done') await page.getByRole('button', { name: /^Citation 1,/ }).click();
      await look(`${name}-${width}-${theme}`);
    }
  }
  for (const fault of on.faults) {
    bad += 1;
    console.log(fault);
  }
} finally {
  await on.close();
}
process.exit(bad > 0 ? 1 : 0);
