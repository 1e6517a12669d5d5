// Contrast of the tokens by WCAG 2.2 (text 4.5, graphics and controls 3), and whether states stay apart for
// people who see colours differently (Machado 2009, distances in Lab).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

declare const ROOT: string;
const css = readFileSync(`${ROOT}/css/tokens.css`, 'utf8');

function theme(name: string): Record<string, string> {
  const body = css.split(`[data-theme="${name}"] {`)[1]!.split('\n}')[0]!;
  return Object.fromEntries([...body.matchAll(/--([\w-]+): (#[0-9A-F]{6})/gi)].map((match) => [match[1]!, match[2]!]));
}
const linear = (hex: string) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
const luminance = (hex: string) => linear(hex).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i]!, 0);
function ratio(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

const GROUNDS = ['ground', 'surface', 'raised', 'sunken'];
const GRAPHICS = ['ok', 'ok-2', 'ok-3', 'warn', 'crit', 'dead', 'line-strong', 'c1', 'c2', 'c3', 'c4', 'log-error', 'log-warn', 'log-info', 'log-debug', 'hit-1', 'hit-2', 'hit-3'];
const RULES: [number, string[], string[]][] = [
  [4.5, ['text', 'text-2', 'warn-text', 'crit-text'], [...GROUNDS, 'picked', 'hover']],
  [4.5, ['text-3'], GROUNDS],
  [4.5, ['sel'], ['ground', 'surface', 'raised']],
  [4.5, ['on-accent'], ['accent']],
  [4.5, ['on-data'], ['ok', 'crit']],
  [3, ['on-data'], ['warn', 'ok-2']],
  [3, GRAPHICS, ['ground', 'surface', 'plot']],
  // Warning and critical differ in lightness, not only in hue.
  [1.25, ['crit'], ['warn']],
];

for (const name of ['dark', 'light']) {
  const tokens = theme(name);
  test(`${name}: contrast`, () => {
    for (const [least, inks, grounds] of RULES) {
      for (const ink of inks) for (const ground of grounds) assert.ok(ratio(tokens[ink]!, tokens[ground]!) >= least, `${ink} on ${ground}: ${ratio(tokens[ink]!, tokens[ground]!).toFixed(2)} < ${least}`);
    }
  });
}

const SIGHT: Record<string, number[]> = {
  protan: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deutan: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritan: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};
const seen = (rgb: number[], m: number[]) => [0, 3, 6].map((row) => Math.min(1, Math.max(0, rgb[0]! * m[row]! + rgb[1]! * m[row + 1]! + rgb[2]! * m[row + 2]!)));
function lab([r, g, b]: number[]): number[] {
  const f = (v: number) => (v > 0.008856 ? Math.cbrt(v) : 7.787 * v + 16 / 116);
  const x = f((0.4124 * r! + 0.3576 * g! + 0.1805 * b!) / 0.9505);
  const y = f(0.2126 * r! + 0.7152 * g! + 0.0722 * b!);
  const z = f((0.0193 * r! + 0.1192 * g! + 0.9505 * b!) / 1.089);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}
const apart = (a: string, b: string, m: number[]) => {
  const [p, q] = [lab(seen(linear(a), m)), lab(seen(linear(b), m))];
  return Math.hypot(...p.map((v, i) => v - q[i]!));
};

test('ok, warning and critical stay apart for everybody', () => {
  for (const name of ['dark', 'light']) {
    const tokens = theme(name);
    for (const [kind, matrix] of Object.entries(SIGHT)) {
      for (const [a, b] of [['ok', 'warn'], ['ok', 'crit'], ['warn', 'crit']] as const) {
        const distance = apart(tokens[a]!, tokens[b]!, matrix);
        assert.ok(distance >= 15, `${name} ${kind}: ${a} and ${b} are ${distance.toFixed(1)} apart`);
      }
    }
  }
});

test('colours stand in the tokens alone', () => {
  for (const file of ['components.css', 'screens.css']) {
    const text = readFileSync(`${ROOT}/css/${file}`, 'utf8');
    assert.deepEqual(text.match(/#[0-9A-Fa-f]{3,8}\b(?![^{]*\{)/g) ?? [], [], file);
  }
});
