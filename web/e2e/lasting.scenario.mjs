// What the page says when the server goes away, a second tab acts, or the network is slow.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { stage } from './stage.mjs';

let on;
before(async () => {
  on = await stage();
});
after(() => on?.close());

test('a server that is killed and started again is said to be behind, then live, and goes on', async () => {
  const { page } = on;
  await on.open(await on.hand('LONG: outlive it'));
  await page.getByText('step 1').first().waitFor();
  await on.kill();
  await page.getByText(/^Not live since/).waitFor();
  await on.again();
  await page.getByText(/^Not live since/).waitFor({ state: 'hidden' });
  await page.getByText('Nothing more was to do').waitFor();
});

test('what one tab does, the other shows, also over a slow network', async () => {
  const other = await on.tab();
  const wire = await on.context.newCDPSession(other);
  await wire.send('Network.enable');
  await wire.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 400,
    downloadThroughput: 50_000,
    uploadThroughput: 20_000,
  });
  await other.goto(`${on.origin}/`);
  const task = await on.hand('STUCK: be seen');
  const row = other.getByRole('link', { name: /STUCK: be seen/ });
  await row.waitFor();
  await on.open(task);
  await on.page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await other.getByText('Cancelled').first().waitFor();
  await other.close();
});

test('signing out in one tab takes the other to the sign-in page', async () => {
  const other = await on.tab();
  await other.goto(`${on.origin}/`);
  await other.getByRole('button', { name: 'Sign out' }).click();
  await on.page.waitForURL(/\/sign-in/);
  assert.deepEqual(on.faults, []);
});
