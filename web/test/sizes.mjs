// What is sent, packed, against the budgets: 120 KB for the first screen, 500 KB for all of it.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const dist = process.env.UI_DIST ?? join(dirname(fileURLToPath(import.meta.url)), '../dist');
const FIRST_MAX = 120 * 1024;
const ALL_MAX = 500 * 1024;
const SHELL = new Set(['app.js', 'app.css', 'index.html', 'icon.svg']);
const sizes = new Map(readdirSync(dist).map((name) => [name, gzipSync(readFileSync(join(dist, name)), { level: 9 }).length]));
const sum = (names) => names.reduce((total, name) => total + sizes.get(name), 0);
const kb = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
const shell = sum([...sizes.keys()].filter((name) => SHELL.has(name)));
const screens = [...sizes].filter(([name]) => name.endsWith('.js') && !SHELL.has(name));
const first = shell + Math.max(...screens.map(([, size]) => size));
const all = sum([...sizes.keys()]);
for (const [name, size] of sizes) console.log(`${name.padEnd(14)} ${kb(size)}`);
console.log(`first screen at most ${kb(first)} of ${kb(FIRST_MAX)}; all ${kb(all)} of ${kb(ALL_MAX)}, packed`);
process.exit(first > FIRST_MAX || all > ALL_MAX ? 1 : 0);
