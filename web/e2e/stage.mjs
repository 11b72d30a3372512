// A stage for scenarios: a repository, the played model, the real server, and a signed-in browser.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { script } from './script.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const quire = process.env.QUIRE ?? join(root, 'target/debug/quire');

/** How long anything may take to be seen, in milliseconds. */
export const PATIENCE = 30_000;

/** A program that runs, once it has said what is waited for. */
function started(args, env, waited) {
  return new Promise((resolve, reject) => {
    const child = spawn(quire, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const late = setTimeout(() => reject(new Error(`${args[0]} said: ${said}`)), PATIENCE);
    const hear = (data) => {
      if (said.length < 100_000) said += data;
      const found = waited.exec(said);
      if (!found) return;
      clearTimeout(late);
      resolve({ child, found });
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('exit', (code) => {
      clearTimeout(late);
      reject(new Error(`${args[0]} ended with ${code}: ${said}`));
    });
  });
}

function ended(child, signal) {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.on('exit', resolve);
    child.kill(signal);
  });
}

/** Sets everything up; `close` ends and removes it. */
export async function stage() {
  const home = mkdtempSync(join(tmpdir(), 'quire-web-'));
  const repository = join(home, 'slugs');
  execFileSync(join(root, 'fixtures/make-repo.sh'), ['python-slugs', repository]);
  writeFileSync(join(home, 'script.json'), JSON.stringify(script));
  mkdirSync(join(home, 'config/quire'), { recursive: true });
  writeFileSync(join(home, 'config/quire/config.toml'), 'model = "scripted/demo"\n');
  const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, 'config') };
  const play = await started(['model', 'play', join(home, 'script.json')], env, /http:\S+\/v1/);
  env.QUIRE_SCRIPTED_URL = play.found[0];
  const data = join(home, 'data');
  const serve = (port) =>
    started(
      ['serve', '--listen', String(port), '--data-dir', data],
      env,
      /at (http:\S+?):? [\s\S]*?(http:\S+\/sign-in#\S+)/,
    );
  let server = await serve(0);
  const origin = new URL(server.found[2]).origin;
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  // axe is put into the page from outside, which the page's own policy forbids.
  const context = await browser.newContext({
    bypassCSP: process.env.AXE === '1',
    viewport: { width: 1440, height: 900 },
  });
  context.setDefaultTimeout(PATIENCE);
  const faults = [];
  const watch = (page) => {
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('request', (request) => {
      const { url } = { url: request.url() };
      if (!url.startsWith(origin) && !url.startsWith('data:')) faults.push(`asked for ${url}`);
    });
    return page;
  };
  const page = watch(await context.newPage());
  await page.goto(server.found[2]);
  await page.getByRole('button', { name: 'Sign in with this link' }).click();
  await page.waitForURL((url) => url.pathname === '/');
  return {
    origin,
    repository,
    browser,
    context,
    page,
    faults,
    tab: async () => watch(await context.newPage()),
    /** Writes a task through the box and presses a verb; gives its number. */
    async hand(text, verb = 'Code', on = page) {
      await on.goto(`${origin}/`);
      await on.getByRole('textbox', { name: 'What should be done?' }).fill(text);
      const picker = on.getByRole('combobox', { name: 'Repository' });
      await picker.fill(repository);
      await picker.press('Escape');
      const made = on.waitForResponse(
        (one) => one.url().endsWith('/api/v1/tasks') && one.request().method() === 'POST',
      );
      await on.getByRole('button', { name: new RegExp(`^${verb}`) }).click();
      const answer = await made;
      if (!answer.ok()) throw new Error(await answer.text());
      return (await answer.json()).task;
    },
    async open(task, query = '', on = page) {
      await on.goto(`${origin}/tasks/${task}${query}`);
      await on.getByRole('heading', { level: 1 }).waitFor();
    },
    kill: () => ended(server.child, 'SIGKILL'),
    async again() {
      server = await serve(new URL(origin).port);
    },
    async close() {
      await browser.close();
      await ended(server.child, 'SIGTERM');
      await ended(play.child, 'SIGTERM');
      rmSync(home, { recursive: true, force: true });
    },
  };
}
