// The UI in a real browser, against the real server: every view in both languages and themes without errors,
// violations of the policy or findings of axe; the ways people take; markup in names; tokens; a proxy's path.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { audit, openBrowser, openPage, settle, sleep, startServer } from './harness.mjs';
import { brushHitmap, dragOver, explainSlow, VIEWS } from './views.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let server;
let browser;
/** The lab's requests go on until then. */
let begun;

before(async () => {
  begun = Date.now();
  server = await startServer();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  server?.stop();
  // Whatever a test that failed left open must not keep the process.
  setTimeout(() => process.exit(), 500);
});

const open = async (path, options) => {
  const opened = await openPage(browser, options);
  await opened.page.goto(`${options?.url ?? server.url}/ui/${path}`);
  await settle(opened.page);
  return opened;
};

/** The server, but for explanations, which another port answers. */
async function passing(port) {
  const to = new URL(server.url).port;
  const proxy = createServer((asked, answer) => {
    const isOther = asked.url.startsWith('/api/ui/v1/explain');
    const onward = request({ port: isOther ? port : to, path: asked.url, method: asked.method, headers: asked.headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    answer.on('close', () => onward.destroy());
    asked.pipe(onward);
  }).listen(0, '127.0.0.1');
  await new Promise((done) => proxy.once('listening', done));
  return { url: `http://127.0.0.1:${proxy.address().port}`, close: () => proxy.close() };
}

async function findings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
  return violations.flatMap(({ id, nodes }) => nodes.slice(0, 3).map((node) => `${id}: ${node.html.slice(0, 140)} ${node.any[0]?.message ?? node.all[0]?.message ?? ''}`));
}

async function look({ page, problems }, view, lang, theme) {
  problems.length = 0;
  await page.goto('about:blank');
  await page.goto(`${server.url}/ui/${view.path}${view.path.includes('?') ? '&' : '?'}lang=${lang}&theme=${theme}`);
  await settle(page);
  if (view.act) await view.act(page).then(() => settle(page));
  const found = [...problems, ...(await audit(page)), ...(await findings(page))];
  if (await page.evaluate(() => window.__hurt)) found.push('markup was executed');
  return found.map((text) => `${view.name} ${lang} ${theme}: ${text}`);
}

for (const [lang, theme] of [['ko', 'dark'], ['en', 'light']]) {
  test(`every view is sound, ${lang} ${theme}`, async () => {
    const views = VIEWS(server.made);
    const failed = [];
    const one = async () => {
      const opened = await openPage(browser);
      for (let view = views.shift(); view; view = views.shift()) failed.push(...(await look(opened, view, lang, theme).catch((error) => [`${view.name}: ${error.message}`])));
      await opened.context.close();
    };
    await Promise.all([one(), one(), one()]);
    assert.equal(failed.join('\n'), '');
  });
}

test('from a brush to the list, to a trace, to its logs, and back', async () => {
  const { page, context, problems } = await open('traces');
  await brushHitmap(page);
  await page.waitForURL(/sel=/);
  await settle(page);
  const row = page.locator('.txlist tbody tr').first();
  assert.match(await row.textContent(), /POST \/log/);
  await row.click();
  await page.waitForURL(/\/ui\/trace\?/);
  await settle(page);
  assert.equal(await page.locator('.wf-row').count(), 8);
  await page.locator('.wf-row', { hasText: 'SELECT pg_sleep' }).click();
  assert.match(await page.locator('aside.span .well').textContent(), /SELECT pg_sleep\(\$1\)/);
  await page.locator('main a', { hasText: '로그 화면에서' }).click();
  await page.waitForURL(/\/ui\/logs\?/);
  await settle(page);
  assert.ok((await page.locator('.log').count()) >= 1);
  await page.goBack();
  await page.goBack();
  await page.waitForURL(/\/ui\/traces\?.*sel=/);
  assert.deepEqual(problems, []);
  await context.close();
});

test('from home: why a service is slow, the statement first, to its lines', async () => {
  const { page, context, problems } = await open(`?from=${begun - 1_800_000}&to=${begun}`);
  await page.locator('.problem', { hasText: /^■caller 응답 지연/ }).locator('[data-why]').click();
  await page.waitForURL(/\/ui\/explain\?from=\d+&to=\d+/);
  await settle(page);
  assert.match(await page.locator('.lead h1').textContent(), /새 패턴 \d+줄.*pg_sleep/);
  const rows = page.locator('.evidence li');
  assert.match(await rows.first().textContent(), /Slow statement took <_> ms: SELECT pg_sleep.*log₂/s);
  assert.match(await page.locator('.evidence').textContent(), /span\.db\.query\.text = SELECT pg_sleep\(\$1\)/);
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/ui\/logs\?.*mode=logql/);
  await settle(page);
  assert.match(await page.locator('.log').first().textContent(), /Slow statement took \d+ ms/);
  await page.goBack();
  await page.waitForURL(/\/ui\/explain/);
  assert.deepEqual(problems, []);
  await context.close();
});

test('from a brush: why these are slow, to the transactions with the statement', async () => {
  const { page, context, problems } = await open('traces?f=service:caller');
  await brushHitmap(page);
  await page.waitForURL(/sel=/);
  await settle(page);
  await page.keyboard.press('e');
  await page.waitForURL(/\/ui\/explain\?.*duration/);
  await settle(page);
  const { searchParams } = new URL(page.url());
  assert.match(searchParams.get('q'), /^\{ duration >= \d+ms && duration <= \d+ms \}$/);
  assert.ok(Number(searchParams.get('to')) > Number(searchParams.get('from')));
  await page.locator('.evidence li', { hasText: 'span.db.query.text = SELECT pg_sleep($1)' }).locator('a.link').click();
  await page.waitForURL(/\/ui\/traces\?.*pg_sleep/);
  await settle(page);
  assert.match(await page.locator('.txlist tbody tr').first().textContent(), /POST \/log/);
  assert.deepEqual(problems, []);
  await context.close();
});

test('a range of the chart becomes the baseline, and the one before comes back', async () => {
  const { page, context, problems } = await open(explainSlow());
  await dragOver(page, '.exp-chart .plot', [0.4, 0.3], [0.7, 0.6]);
  await page.locator('.pop.menu button', { hasText: '기준으로 삼기' }).click();
  await page.waitForURL(/baseline_from=\d+&baseline_to=\d+/);
  await settle(page);
  const { searchParams } = new URL(page.url());
  assert.ok(Number(searchParams.get('baseline_to')) <= Number(searchParams.get('from')));
  assert.equal(await page.locator('main .banner').count(), 0);
  await page.locator('.bar button', { hasText: '기준을 바로 앞으로' }).click();
  await page.waitForFunction(() => !location.search.includes('baseline'));
  assert.deepEqual(problems, []);
  await context.close();
});

test('sources of an explanation are shown as they answer, and leaving ends the request', async () => {
  const { page, context } = await openPage(browser);
  const line = (source, more) => `${JSON.stringify({ source, looked_at: 1, findings: [], ruled_out: [], ...more })}\n`;
  const finding = { kind: 'attribute', name: 'span.a', value: 'b', score: 0.5, formula: 'f', query: '{ span.a = "b" }', language: 'traceql', selection: 1, baseline: 0.5, of_selection: 4, of_baseline: 8 };
  let ended;
  const gone = new Promise((done) => (ended = done));
  const half = createServer((_, answer) => {
    answer.writeHead(200, { 'content-type': 'application/x-ndjson' });
    answer.write(line('changes') + line('spans', { findings: [finding] }));
    answer.on('close', ended);
  }).listen(0, '127.0.0.1');
  await new Promise((done) => half.once('listening', done));
  const proxied = await passing(half.address().port);
  await page.goto(`${proxied.url}/ui/${explainSlow()}`);
  await page.waitForSelector('.evidence li:has-text("span.a = b")');
  assert.match(await page.locator('dl.kv').textContent(), /로그 패턴◐ 보는 중지표○ 기다림/);
  await page.keyboard.press('g');
  await page.keyboard.press('h');
  await gone;
  await context.close();
  proxied.close();
  half.close();
});

test('logs: search, open a line, include a value, its trace', async () => {
  const { page, context, problems } = await open('logs');
  await page.locator('[data-query]').fill('slow level:warn');
  await page.keyboard.press('Enter');
  await page.waitForURL(/q=slow/);
  await settle(page);
  assert.match(await page.locator('.under code').textContent(), /detected_level="warn"/);
  await page.locator('.log').nth(1).click();
  assert.match(await page.locator('.log-open').textContent(), /callee-with-db/);
  await page.locator('.log-open button', { hasText: '앞뒤 줄' }).click();
  await page.waitForSelector('.near .on');
  await page.locator('.facet .pick', { hasText: 'callee-with-db' }).first().click();
  await page.waitForURL(/service_name/);
  await settle(page);
  await page.locator('.log').first().click();
  await page.locator('.log-open a', { hasText: '이 트레이스' }).click();
  await page.waitForURL(/\/ui\/trace\?/);
  assert.deepEqual(problems, []);
  await context.close();
});

test('a live tail shows a line that comes in', async () => {
  const { page, context } = await open('logs?tail=1');
  const ns = `${BigInt(Date.now()) * 1_000_000n}`;
  const body = JSON.stringify({ streams: [{ stream: { service_name: 'tailed' }, values: [[ns, 'a line while following']] }] });
  await fetch(`${server.url}/loki/api/v1/push`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  await page.waitForSelector('.log:has-text("a line while following")', { timeout: 10_000 });
  await context.close();
});

test('names that are markup stay text', async () => {
  for (const path of ['logs?q=markup', 'traces?q={name%3D~%22.*img.*%22}', `trace?id=${'bad'.padStart(32, '0')}`]) {
    const { page, context, problems } = await open(path);
    assert.match(await page.locator('main').textContent(), /<img src=x/);
    assert.equal(await page.locator('main img').count(), 0);
    assert.equal(await page.evaluate(() => window.__hurt), undefined);
    assert.deepEqual(problems, []);
    await context.close();
  }
});

test('the keyboard: screens, palette, time, live, rows, tables', async () => {
  const { page, context, problems } = await open('traces');
  await page.keyboard.press('g');
  await page.keyboard.press('l');
  await page.waitForURL(/\/ui\/logs/);
  await settle(page);
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.log-open');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('callee-with');
  await page.waitForSelector('.palette [aria-selected=true]:has-text("callee-with-db")');
  // The Enter that ends a syllable of an input method chooses nothing.
  await page.evaluate(() => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true })));
  assert.equal(await page.locator('.palette').count(), 1);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/ui\/traces\?f=service%3Acallee-with-db/);
  await settle(page);
  await page.keyboard.press('.');
  await page.keyboard.type('어제 14:00~15:00');
  await page.keyboard.press('Enter');
  await page.waitForURL(/from=\d+&to=\d+/);
  await page.keyboard.press(' ');
  await page.waitForFunction(() => !location.search.includes('to='));
  await page.keyboard.press(' ');
  await page.waitForURL(/live=0/);
  await page.keyboard.press('Shift+V');
  await page.waitForSelector('.twin table');
  await page.keyboard.press('?');
  await page.waitForSelector('.sheet');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('.sheet').count(), 0);
  await page.keyboard.press('y');
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /from=\d+&to=\d+/);
  assert.deepEqual(problems, []);
  await context.close();
});

test('a row has a menu of what belongs to it', async () => {
  const { page, context, problems } = await open('traces');
  await page.locator('.txlist tbody tr').first().focus();
  await page.keyboard.press('m');
  await page.waitForSelector('.pop.menu');
  assert.deepEqual(await page.locator('.pop.menu span').allTextContents(), ['트레이스 열기', '펼쳐 보기', '트레이스', '로그', '링크 복사']);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForSelector('aside.drawer');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('aside.drawer').count(), 0);
  await page.locator('.txlist tbody tr').first().click({ button: 'right' });
  await page.locator('.pop.menu a', { hasText: '로그' }).click();
  await page.waitForURL(/\/ui\/logs\?.*trace_id/);
  await settle(page);
  assert.ok((await page.locator('.log').count()) >= 1);
  assert.deepEqual(problems, []);
  await context.close();
});

test('language and theme are kept', async () => {
  const { page, context } = await open('alerts');
  await page.locator('.rail .seg button', { hasText: 'EN' }).click();
  await page.waitForSelector('h1:has-text("Alerts")');
  await page.keyboard.press('Shift+T');
  await page.goto(`${server.url}/ui/services`);
  await settle(page);
  assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme]), ['en', 'light']);
  await context.close();
});

test('an alert is silenced, and the silence ends by undo', async () => {
  const { page, context, problems } = await open('alerts');
  await page.waitForSelector('.alert.firing', { timeout: 20_000 });
  await page.locator('.alert.firing button').first().click();
  await page.waitForSelector('.toast');
  await page.waitForSelector('.alert.silenced', { timeout: 20_000 });
  await page.locator('.toast button').click();
  await page.waitForSelector('.alert.firing', { timeout: 20_000 });
  assert.deepEqual(problems, []);
  await context.close();
});

test('a query that is wrong says where', async () => {
  const { page, context } = await open('metrics?tab=query&expr=sum(');
  assert.match(await page.locator('.banner').textContent(), /1:5: parse error/);
  await page.locator('textarea').fill('sum(rate(log_ent');
  await page.keyboard.press('End');
  await page.keyboard.press('r');
  await page.waitForSelector('.complete');
  await page.keyboard.press('Tab');
  assert.equal(await page.locator('textarea').inputValue(), 'sum(rate(log_entries_total');
  await page.keyboard.type('[2m]))');
  await page.keyboard.press('Enter');
  await page.waitForSelector('figure.chart');
  await context.close();
});

test('behind a proxy that serves it below a path', async () => {
  const { port } = new URL(server.url);
  const proxy = createServer((asked, answer) => {
    if (!asked.url.startsWith('/some/where/')) return answer.writeHead(404).end();
    const onward = request({ port, path: asked.url.slice('/some/where'.length), method: asked.method, headers: asked.headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    asked.pipe(onward);
  }).listen(0, '127.0.0.1');
  await new Promise((done) => proxy.once('listening', done));
  const url = `http://127.0.0.1:${proxy.address().port}/some/where`;
  const { page, context, problems } = await openPage(browser);
  await page.goto(`${url}/ui`);
  await settle(page);
  assert.match(page.url(), /\/some\/where\/ui\/$/);
  await page.keyboard.press('g');
  await page.keyboard.press('s');
  await page.waitForSelector('h1:has-text("서비스")');
  await settle(page);
  assert.ok((await page.locator('tbody tr').count()) >= 3);
  assert.deepEqual(problems, []);
  await context.close();
  proxy.close();
});

test('a server that asks who is there: a token is asked for, and sent', async () => {
  const guarded = await startServer({ flags: ['--set', 'auth.mode=on'], seeded: false });
  const token = execFileSync(guarded.binary, ['--data', guarded.data, 'token', 'create', 'ui', '--scope', 'read'], { encoding: 'utf8' }).trim();
  const { page, context } = await openPage(browser);
  await page.goto(`${guarded.url}/ui/logs`);
  await page.waitForSelector('input[type=password]');
  await page.locator('input[type=password]').fill('mir_wrong');
  await page.keyboard.press('Enter');
  await page.waitForSelector('h2:has-text("맞지 않습니다")');
  await page.locator('input[type=password]').fill(token);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => !document.querySelector('input[type=password]'));
  await settle(page);
  await sleep(300);
  assert.equal(await page.locator('input[type=password]').count(), 0);
  assert.equal(await page.locator('main .banner').count(), 0);
  await context.close();
  guarded.stop();
});
