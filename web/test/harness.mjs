// The real server with the lab in it, and a real browser. MIRADOR names the binary, CHROMIUM the browser,
// MIRADOR_URL a server that runs already (it is used as it is, and not seeded).
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { seed } from './lab.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

/** A server of its own folder and port, with more flags if wanted. */
export async function startServer({ flags = [], seeded = true, options = {} } = {}) {
  if (process.env.MIRADOR_URL) return { url: process.env.MIRADOR_URL, stop() {}, made: undefined, data: undefined };
  const data = mkdtempSync(join(tmpdir(), 'mirador-ui-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  const binary = process.env.MIRADOR ?? join(root, '../target/debug/mirador');
  const shown = process.env.UI_DIST ? ['--ui-dir', process.env.UI_DIST] : [];
  const child = spawn(binary, ['serve', '--data', data, '--listen', url.slice(7), '--set', 'listen.also=[]', ...shown, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  const stop = () => {
    child.kill('SIGKILL');
    rmSync(data, { recursive: true, force: true });
  };
  process.once('exit', stop);
  for (let tries = 0; ; tries += 1) {
    const ready = await fetch(`${url}/ready`).then((answer) => answer.ok, () => false);
    if (ready) break;
    if (tries > 150 || child.exitCode !== null) throw new Error(`the server did not start: ${said}`);
    await sleep(200);
  }
  const made = seeded ? await seed(url, options) : undefined;
  return { url, stop, made, data, binary };
}

export const openBrowser = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--hide-scrollbars'] });

/** A page that collects what went wrong in it: exceptions, console errors, violations of the policy. */
export async function openPage(browser, { width = 1440, height = 900, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, locale: 'ko-KR', timezoneId: 'Asia/Seoul', permissions: ['clipboard-read', 'clipboard-write'], ...options });
  const page = await context.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(`exception: ${error.message}`));
  page.on('console', (message) => {
    // A status that a screen shows is no mistake of the page.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) problems.push(`console: ${message.text()}`);
  });
  return { page, context, problems };
}

/** Until nothing is asked for any more and what was asked for is shown. */
export async function settle(page) {
  const calm = () => {
    if (document.querySelector('.skeleton, .stale') || !document.querySelector('main *')) window.__calmSince = undefined;
    else window.__calmSince ??= performance.now();
    return performance.now() - (window.__calmSince ?? Infinity) > 350;
  };
  await page.evaluate(() => (window.__calmSince = undefined));
  await page.waitForFunction(calm, undefined, { timeout: 30_000, polling: 50 });
}

/** Texts that are cut without an ellipsis, what sticks out of the window, type below 11 px. */
export const audit = (page) =>
  page.evaluate(() => {
    const bad = [];
    const clips = (el) => /auto|scroll|hidden/.test(getComputedStyle(el).overflowX);
    const parents = (el) => {
      const list = [];
      for (let at = el.parentElement; at; at = at.parentElement) list.push(at);
      return list;
    };
    for (const el of document.querySelectorAll('body *')) {
      const box = el.getBoundingClientRect();
      if (!box.width || !box.height || el.closest('svg')) continue;
      const style = getComputedStyle(el);
      const own = [...el.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      const at = `${el.tagName.toLowerCase()}.${el.className} "${el.textContent.trim().slice(0, 40)}"`;
      if (own && el.scrollWidth > el.clientWidth + 1 && style.overflowX === 'hidden' && style.textOverflow !== 'ellipsis') bad.push(`cut ${at}`);
      if (own && box.right > innerWidth + 1 && !parents(el).some((p) => clips(p) && p !== document.body && p.id !== 'app')) bad.push(`wide ${at}`);
      const parent = el.parentElement;
      if (own && style.display !== 'inline' && parent && clips(parent) && getComputedStyle(parent).overflowX === 'hidden' && box.right > parent.getBoundingClientRect().right + 1 && !/ellipsis/.test(style.textOverflow + getComputedStyle(parent).textOverflow)) bad.push(`cut by its box ${at}`);
      if (own && parseFloat(style.fontSize) < 11 && !el.matches('.glyph')) bad.push(`small ${style.fontSize} ${at}`);
    }
    return bad.slice(0, 12);
  });
