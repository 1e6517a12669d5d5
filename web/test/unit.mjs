// Unit tests: each test/*.test.ts is bundled and run by `node --test`. Times are read in the zone of Seoul.
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, '.build/test');
const files = readdirSync(join(root, 'test')).filter((name) => name.endsWith('.test.ts'));
rmSync(out, { recursive: true, force: true });
await esbuild.build({
  absWorkingDir: root,
  entryPoints: files.map((name) => `test/${name}`),
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  format: 'esm',
  platform: 'node',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  define: { ROOT: JSON.stringify(root) },
});
const run = spawnSync(process.execPath, ['--test', ...files.map((name) => join(out, name.replace('.ts', '.mjs')))], { stdio: 'inherit', env: { ...process.env, TZ: 'Asia/Seoul' } });
process.exit(run.status ?? 1);
