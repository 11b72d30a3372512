// What a person does with tasks, on the real server with a played model.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PATIENCE, stage } from './stage.mjs';

let on;
before(async () => {
  on = await stage();
});
after(() => on?.close());

/** Waits until the task's header says so. */
const says = (page, word) =>
  page.locator('header').getByText(word, { exact: true }).waitFor({ timeout: PATIENCE });

test('a change is handed out, watched live, believed by its citations, and read', async () => {
  const { page } = on;
  const task = await on.hand('CODE: count in the change log');
  await on.open(task);
  await page.getByText('tick 2').waitFor();
  assert.equal(await page.getByText('running', { exact: true }).count(), 1);
  await says(page, 'Changed');
  const mark = page.getByRole('button', { name: /^Citation 1, Verified/ });
  await mark.hover();
  const shown = page.getByRole('group', { name: /^log / });
  await shown.waitFor();
  assert.match(await shown.textContent(), /Counted\./);
  const box = await shown.boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 1440 && box.y + box.height <= 900, 'not clipped');
  const seen = await shown.evaluate((element) => {
    const { right, top } = element.getBoundingClientRect();
    return element.contains(document.elementFromPoint(right - 8, top + 8));
  });
  assert.ok(seen, 'nothing lies over it');
  await shown.getByRole('button', { name: 'Open in log' }).click();
  const lit = page.locator('[data-cited]');
  await lit.first().waitFor();
  assert.match(await lit.first().textContent(), /Counted\./);
  assert.ok(await lit.first().evaluate((e) => e.getBoundingClientRect().top < innerHeight));
  await page.getByRole('tab', { name: /^Diff/ }).click();
  await page.getByRole('region', { name: 'CHANGES.md' }).getByText('- Counted.').waitFor();
  const scrolls = await page.evaluate(
    () => document.documentElement.scrollHeight - document.documentElement.clientHeight,
  );
  assert.equal(scrolls, 0, 'the page does not scroll as a whole');
  await page
    .getByRole('button', { name: /^Comment on line/ })
    .last()
    .click();
  await page.getByRole('textbox', { name: /^Comment on line/ }).fill('Count on.');
  await page.reload();
  await page.getByText('Count on.').waitFor();
  await page.getByRole('button', { name: 'Send 1 comment' }).click();
  await page.getByText('Comments on the change:').waitFor();
  await page.getByText('Followed up').waitFor();
});

test('a question about the code is answered and changes nothing', async () => {
  await on.open(await on.hand('ASKS: what is it?', 'Ask'));
  await says(on.page, 'Answered');
  await on.page.getByText('It makes slugs').waitFor();
});

test('a plan waits, is edited, and is carried out', async () => {
  const { page } = on;
  await on.open(await on.hand('PLANS: write a line', 'Plan'));
  await says(page, 'Plan is ready');
  await page.getByRole('button', { name: 'Edit plan' }).click();
  await page.getByRole('textbox', { name: 'Plan' }).fill('1. Write another line.');
  await page.getByRole('button', { name: 'Approve edited plan' }).click();
  await says(page, 'Changed');
});

test('a question of the agent is answered by one of its choices', async () => {
  const { page } = on;
  await on.open(await on.hand('WONDERS: which?'));
  await says(page, 'Asks you');
  await page.getByRole('button', { name: 'The long one' }).click();
  await says(page, 'Changed');
});

test('of three attempts one is chosen', async () => {
  const { page } = on;
  await page.goto(`${on.origin}/`);
  await page.getByRole('combobox', { name: 'Attempts' }).selectOption('3');
  await on.open(await on.hand('ASKS: three times', 'Ask'), '?tab=attempts');
  await page.getByRole('button', { name: 'Choose attempt 2' }).click();
  await page.getByRole('button', { name: 'Choose attempt 2' }).waitFor({ state: 'hidden' });
  await page.getByText('Chosen', { exact: true }).waitFor();
  await page.goto(`${on.origin}/`);
  await page.getByRole('combobox', { name: 'Attempts' }).selectOption('1');
});

test('a message steers while it works, and cancelling ends it', async () => {
  const { page } = on;
  await on.open(await on.hand('LONG: wait'));
  await says(page, 'Working');
  await page.getByRole('textbox').fill('Be quick.');
  await page.getByRole('button', { name: 'Steer', exact: true }).click();
  await page.getByRole('region', { name: 'Conversation' }).getByText('Be quick.').waitFor();
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await says(page, 'Cancelled');
});

test('what is paused stands still and goes on when it is resumed', async () => {
  const { page } = on;
  await on.open(await on.hand('LONG: wait again'));
  await says(page, 'Working');
  await page.getByRole('button', { name: 'Pause', exact: true }).click();
  await page.getByRole('button', { name: 'Resume', exact: true }).click();
  await says(page, 'Working');
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await says(page, 'Cancelled');
});

test('no page failed, and none asked another host', () => assert.deepEqual(on.faults, []));
