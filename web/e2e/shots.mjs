// Signs in with a link, opens pages, and takes a picture of each in both themes and on a phone.
// `node e2e/shots.mjs URL DIRECTORY [PATH...]`: URL is the sign-in link that `quire serve` printed.
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [link, into, ...given] = process.argv.slice(2);
if (!link || !into) {
  console.error('usage: node e2e/shots.mjs SIGN-IN-LINK DIRECTORY [PATH...]');
  process.exit(2);
}
const paths = given.length > 0 ? given : ['/'];
mkdirSync(into, { recursive: true });
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
let bad = 0;
try {
  // axe is put into the page from outside, which the page's own policy forbids.
  const context = await browser.newContext({ bypassCSP: process.env.AXE !== '0' });
  const page = await context.newPage();
  page.on('console', (line) => {
    if (line.type() === 'error') console.log('console:', line.text());
  });
  page.on('pageerror', (error) => {
    bad += 1;
    console.log('error:', error.message);
  });
  await page.goto(link);
  await page.getByRole('button', { name: 'Sign in with this link' }).click();
  await page.waitForURL((url) => url.pathname === '/');
  for (const [width, height, theme] of [
    [1440, 900, 'dark'],
    [1440, 900, 'light'],
    [390, 844, 'light'],
  ]) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: theme });
    for (const path of paths) {
      await page.goto(new URL(path, link).href);
      await page.getByRole('heading', { level: 1 }).waitFor({ state: 'attached' });
      await page.waitForTimeout(700);
      const name = `${path.replace(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '') || 'home'}-${width}-${theme}`;
      await page.screenshot({ path: `${into}/${name}.png` });
      if (process.env.AXE === '0') continue;
      await page.addScriptTag({ path: axe });
      const found = await page.evaluate(() =>
        window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }),
      );
      for (const one of found.violations) {
        bad += 1;
        console.log(
          name,
          one.id,
          one.nodes.slice(0, 3).map((node) => node.html.slice(0, 120)),
        );
      }
    }
  }
} finally {
  await browser.close();
}
process.exit(bad > 0 ? 1 : 0);
