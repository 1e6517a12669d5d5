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

/** Names that a screen takes from app.js and that are not there: they would only fail in a browser. */
function missing(screen, exported) {
  const names = [...screen.matchAll(/import\{([^}]*)\}from"\.\/app\.js/g)].flatMap((match) => match[1].split(','));
  return names.map((name) => name.split(' as ')[0].trim()).filter((name) => !exported.has(name));
}

/** What is in app.js of others comes with their licences, as they ask. */
function licences() {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const shipped = Object.entries(packages).filter(([path, { dev }]) => path && !dev);
  const texts = shipped.map(([path, { version }]) => {
    const name = path.replace('node_modules/', '');
    return `${name} ${version}\n\n${readFileSync(join(root, path, 'LICENSE'), 'utf8').trim()}\n`;
  });
  return texts.join(`\n${'-'.repeat(72)}\n\n`);
}

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
  const built = await esbuild.build({ ...common, entryPoints: ['src/app.ts'], metafile: true });
  const app = put('app.js', built.outputFiles[0].text);
  const exported = new Set(Object.values(built.metafile.outputs)[0].exports);
  const version = app.split('=')[1];
  const versions = {};
  for (const name of screens()) {
    const content = await text({ entryPoints: [`src/screens/${name}/index.tsx`], plugins: [shared(version)] });
    const lacking = missing(content, exported);
    if (lacking.length > 0) throw new Error(`screen ${name}: app.js does not export ${lacking.join(', ')}`);
    versions[name] = put(`${name}.js`, content);
  }
  files.set('licenses.txt', licences());
  const icon = put('icon.svg', readFileSync(join(root, 'src/icon.svg'), 'utf8'));
  const page = readFileSync(join(root, 'src/index.html'), 'utf8')
    .replace('{css}', css)
    .replace('{icon}', icon)
    .replaceAll('{app}', app)
    .replace('{screens}', JSON.stringify(versions).replaceAll('"', '&quot;'));
  files.set('index.html', page);
  mkdirSync(out, { recursive: true });
  for (const [name, content] of files) writeFileSync(join(out, name), content);
  for (const name of readdirSync(out)) if (!files.has(name)) rmSync(join(out, name));
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
