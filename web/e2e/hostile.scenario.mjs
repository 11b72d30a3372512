// What a repository, a command or a model may write cannot act on the page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { stage } from './stage.mjs';

let on;
before(async () => {
  on = await stage();
});
after(() => on?.close());

test('names of files, logs, markdown, SVG and a line of 10 MB are shown and do nothing', async () => {
  const { page } = on;
  await on.open(await on.hand('HOSTILE: do your worst'));
  await page
    .getByRole('button', { name: /^Citation \d, Rejected/ })
    .first()
    .waitFor();
  for (const name of ['Log', 'Diff', 'Evidence', 'Checks']) {
    await page.getByRole('tab', { name: new RegExp(`^${name}`) }).click();
    await page.waitForTimeout(300);
  }
  await page.getByRole('tab', { name: /^Diff/ }).click();
  await page.getByText('<img src=x onerror=window.hacked=1>.txt').first().waitFor();
  await page.getByText('Runs by itself: read it first').first().waitFor();
  await page.getByRole('tab', { name: /^Log/ }).click();
  await page
    .getByRole('button', { name: /printf/ })
    .last()
    .click();
  await page.getByText('<b onclick=1>html</b>', { exact: false }).first().waitFor();
  await page.getByRole('button', { name: /10000000/ }).click();
  await page
    .getByText(/^x{100,}/)
    .first()
    .waitFor();
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  const found = page.locator(
    'main img, main iframe, main script, main a[href^="javascript:"], main a[href^="data:"]',
  );
  assert.equal(await found.count(), 0);
  assert.deepEqual(on.faults, []);
});

test('5,000 lines of output stand in the log, and the cited one is gone to', async () => {
  const { page } = on;
  await on.open(await on.hand('MANY: print'));
  const mark = page.getByRole('button', { name: /^Citation 1, Verified/ });
  await mark.click();
  await page.getByRole('button', { name: 'Open in log' }).click();
  await page.locator('[data-cited]').getByText('the last').waitFor();
});
