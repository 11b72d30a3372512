// What a person does beside the tasks: first steps, environments, settings, usage, the board.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { stage } from './stage.mjs';

let on;
before(async () => {
  on = await stage();
});
after(() => on?.close());

test('first steps lead from a repository that cannot be read to a task', async () => {
  const { page, origin, repository } = on;
  await page.goto(`${origin}/start`);
  const place = page.getByRole('textbox', { name: /^Clone address/ });
  await place.fill('/nowhere/at/all');
  await place.press('Enter');
  await page.getByRole('alert').getByText('/nowhere/at/all').waitFor();
  assert.equal(await page.getByRole('button', { name: 'all', exact: true }).count(), 0);
  await place.fill(repository);
  await place.press('Enter');
  await page.getByText('slugs was read: 1 branch, main is the default.').waitFor();
  await page.getByRole('button', { name: /^Explain how/ }).click();
  await page.getByRole('button', { name: 'Ask', exact: true }).click();
  await page.waitForURL(/\/tasks\/\d+/);
});

test('an environment is made, mistakes are told with their line, a secret is never shown', async () => {
  const { page, origin } = on;
  await page.goto(`${origin}/environments`);
  await page.getByRole('textbox', { name: 'New environment' }).fill('web');
  await page.keyboard.press('Enter');
  const recipe = page.getByRole('textbox', { name: 'Recipe' });
  await recipe.fill('setpu = "true"\n');
  await page.getByRole('button', { name: 'Create environment' }).click();
  await page.getByRole('alert').getByText('setpu').waitFor();
  await recipe.fill('[network]\nagent = "off" # as yet\n');
  await page.getByRole('button', { name: 'Create environment' }).click();
  await page.getByText('Saved as version 1').waitFor();
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('NPM_TOKEN');
  await page.getByLabel('Value').fill('npm_value-4711-kept');
  await page.getByRole('button', { name: 'Set secret' }).click();
  await page.getByText('NPM_TOKEN', { exact: true }).waitFor();
  assert.equal(await page.getByLabel('Value').inputValue(), '');
  assert.ok(!(await page.content()).includes('npm_value-4711-kept'));
});

test('people, roles, tokens, budgets and webhooks are set, and the audit tells of it', async () => {
  const { page, origin } = on;
  await page.goto(`${origin}/settings/people`);
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('ada');
  await page.getByRole('button', { name: 'Add' }).click();
  await page
    .getByRole('row', { name: 'ada' })
    .getByRole('button', { name: 'Sign-in link' })
    .click();
  await page.getByText('/sign-in#').waitFor();
  await page.goto(`${origin}/settings/teams`);
  await page.getByRole('textbox', { name: 'Name of a person' }).fill('ada');
  await page.getByRole('button', { name: 'Add' }).first().click();
  const role = page.getByRole('combobox', { name: 'Role of ada' });
  await role.waitFor();
  const kept = page.waitForResponse((one) => one.request().method() === 'PUT' && one.ok());
  await role.selectOption('viewer');
  await kept;
  await page.reload();
  await role.waitFor();
  assert.equal(await role.inputValue(), 'viewer');
  await page.goto(`${origin}/settings/tokens`);
  await page.getByLabel('What it is for').fill('laptop');
  await page.getByRole('button', { name: 'Make token' }).click();
  await page.getByText('it is not shown again').waitFor();
  await page.reload();
  await page.getByRole('cell', { name: 'laptop' }).waitFor();
  assert.equal(await page.getByText('it is not shown again').count(), 0);
  await page.goto(`${origin}/settings/budgets`);
  await page.getByLabel('Dollars a month').fill('12.5');
  await page.getByRole('button', { name: 'Set budget' }).click();
  await page.getByRole('cell', { name: '$12.50' }).waitFor();
  await page.goto(`${origin}/settings/notices`);
  await page.getByLabel('Where to').fill('https://example.com/hook');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByText('whsec_').waitFor();
  await page.goto(`${origin}/settings/audit`);
  await page.getByLabel('Action').fill('token.create');
  await page.getByRole('button', { name: 'Filter' }).click();
  await page.getByText('quota.').waitFor({ state: 'detached' });
  await page.getByRole('cell', { name: 'token.create' }).waitFor();
  assert.equal(await page.getByRole('row').count(), 2, 'its head and the one row');
});

test('the board is walked by keys, and each plot has its table', async () => {
  const { page, origin } = on;
  await page.goto(`${origin}/board`);
  await page.locator('[id^=card-]').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/tasks\/\d+/);
  await page.goto(`${origin}/usage`);
  await page.getByRole('img', { name: 'Tasks per day' }).waitFor();
  await page.getByRole('button', { name: 'Table' }).first().click();
  await page.getByRole('columnheader', { name: 'Failed or cancelled' }).waitFor();
  assert.deepEqual(on.faults, []);
});
