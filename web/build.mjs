// Builds dist/: app.js (libraries, parts, shell), one file for each screen, app.css, index.html.
//
// Names are stable, so that a change of the sources is a change of the same files. What changed is told by
// `?v=`, a hash of the content. A screen imports everything it shares from app.js; the page says which
// version of each screen belongs to it, so app.js need not know hashes of what imports it.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

const root = dirname(fileURLToPath(import.meta.url));
const out = process.env.UI_DIST ?? join(root, 'dist');
const hash = (text) => createHash('sha256').update(text).digest('hex').slice(0, 12);
const common = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
  charset: 'utf8',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  write: false,
  logLevel: 'warning',
};

/** What screens share lies in app.js: their imports of it lead there. */
const shared = (version) => ({
  name: 'shared',
  setup(build) {
    const inApp = { path: `./app.js?v=${version}`, external: true };
    build.onResolve({ filter: /^preact(\/.*)?$|^@preact\/signals$/ }, () => inApp);
    build.onResolve({ filter: /^(\.\.\/)+core$/ }, () => inApp);
  },
});

const text = async (options) => (await esbuild.build({ ...common, ...options })).outputFiles[0].text;

const screens = () =>
  readdirSync(join(root, 'src/screens'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();

async function build() {
  const files = new Map();
  const put = (name, content) => {
    files.set(name, content);
    return `${name}?v=${hash(content)}`;
  };
  const css = put('app.css', await text({ entryPoints: ['css/app.css'] }));
  const app = put('app.js', await text({ entryPoints: ['src/app.ts'] }));
  const version = app.split('=')[1];
  const versions = {};
  for (const name of screens()) {
    const content = await text({ entryPoints: [`src/screens/${name}/index.tsx`], plugins: [shared(version)] });
    versions[name] = put(`${name}.js`, content);
  }
  const icon = put('icon.svg', readFileSync(join(root, 'src/icon.svg'), 'utf8'));
  const page = readFileSync(join(root, 'src/index.html'), 'utf8')
    .replace('{css}', css)
    .replace('{icon}', icon)
    .replaceAll('{app}', app)
    .replace('{screens}', JSON.stringify(versions).replaceAll('"', '&quot;'));
  files.set('index.html', page);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const [name, content] of files) writeFileSync(join(out, name), content);
}

await build();
if (process.argv.includes('--watch')) {
  let timer;
  const again = () => {
    clearTimeout(timer);
    timer = setTimeout(() => build().catch((error) => console.error(error.message)), 100);
  };
  for (const folder of ['src', 'css']) watch(join(root, folder), { recursive: true }, again);
}
