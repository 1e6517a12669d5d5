// Pictures of each screen at 1440 and 1100, in both themes and languages, and what is cut or sticks out in them.
//   node test/shots.mjs [FOLDER] [part of a name …]
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { audit, openBrowser, openPage, settle, startServer } from './harness.mjs';
import { VIEWS } from './views.mjs';

const [folder = '.build/shots', ...wanted] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const server = await startServer();
const browser = await openBrowser();
let bad = 0;
for (const [lang, theme, width] of [['ko', 'dark', 1440], ['en', 'light', 1440], ['ko', 'light', 1100], ['en', 'dark', 1100]]) {
  for (const view of VIEWS(server.made)) {
    const name = `${view.name}-${lang}-${theme}-${width}`;
    if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) continue;
    const { page, context, problems } = await openPage(browser, { width });
    await page.goto(`${server.url}/ui/${view.path}${view.path.includes('?') ? '&' : '?'}lang=${lang}&theme=${theme}&live=0`);
    await settle(page);
    await view.act?.(page);
    if (view.act) await settle(page);
    const found = [...problems, ...(await audit(page))];
    await page.screenshot({ path: join(folder, `${name}.png`) });
    bad += found.length;
    console.log([name, ...found.map((text) => `  ${text}`)].join('\n'));
    await context.close();
  }
}
await browser.close();
server.stop();
process.exit(bad ? 1 : 0);
