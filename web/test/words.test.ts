// Every text has a twin in the other language, with the same values in it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fill, lang, loadedWords, type Pair } from '../src/core/i18n';
import '../src/core/ui.words';
import '../src/shell/words';
import '../src/screens/admin/words';
import '../src/screens/alerts/words';
import '../src/screens/explain/words';
import '../src/screens/home/words';
import '../src/screens/logs/words';
import '../src/screens/metrics/words';
import '../src/screens/services/words';
import '../src/screens/trace/words';
import '../src/screens/traces/words';
import { readdirSync, readFileSync } from 'node:fs';
import { words } from '../src/core/i18n';

declare const ROOT: string;

const all: [string, Pair][] = loadedWords().flatMap((dictionary) => Object.entries(dictionary));
const names = (text: string) => [...new Set([...text.matchAll(/\{(\w+)/g)].map((match) => match[1]))].sort();

test('every dictionary is looked at', () => {
  const screens = readdirSync(`${ROOT}/src/screens`).length;
  assert.equal(loadedWords().length, screens + 2);
});

test('no twin is empty, and both hold the same values', () => {
  for (const [key, [ko, en]] of all) {
    assert.ok(ko.trim() && en.trim(), key);
    assert.deepEqual(names(ko), names(en), `${key}: ${ko} / ${en}`);
  }
});

test('every text can be filled', () => {
  for (const [key, pair] of all) {
    for (const text of pair) {
      const values = Object.fromEntries(names(text).map((name) => [name!, 2]));
      assert.ok(!/[{}]/.test(fill(text, values)), `${key}: ${text}`);
    }
  }
});

test('English has no Hangul', () => {
  for (const [key, [, en]] of all) assert.ok(!/[ㄱ-ㆎ가-힣]/.test(en), `${key}: ${en}`);
});

test('copy has no exclamation marks and does not say please', () => {
  for (const [key, [ko, en]] of all) assert.ok(!/!(?!=|~)|\bplease\b|주세요/i.test(ko + en), `${key}: ${ko} / ${en}`);
});

test('values and plurals are put in', () => {
  assert.equal(fill('{n} {n|line|lines} of {what}', { n: 1, what: 'x' }), '1 line of x');
  assert.equal(fill('{n} {n|line|lines}', { n: 2 }), '2 lines');
  assert.equal(fill('{missing}.', {}), '.');
  const w = words({ hello: ['{n}건', '{n} items'] });
  lang.value = 'en';
  assert.equal(w.hello({ n: 3 }), '3 items');
  lang.value = 'ko';
  assert.equal(w.hello({ n: 3 }), '3건');
});

test('every text is shown somewhere', () => {
  const folders = ['src/shell', ...readdirSync(`${ROOT}/src/screens`).map((name) => `src/screens/${name}`)];
  const unused = folders.flatMap((folder) => {
    const files = readdirSync(`${ROOT}/${folder}`).filter((name) => /\.tsx?$/.test(name));
    const text = (name: string) => readFileSync(`${ROOT}/${folder}/${name}`, 'utf8');
    const keys = [...text('words.ts').matchAll(/^ {2}(\w+): \[/gm)].map((match) => match[1]!);
    const code = files.filter((name) => name !== 'words.ts').map(text).join('\n');
    // Some are chosen by a value, as in w[rule.type](): then the value stands in the code.
    const isShown = (key: string) => new RegExp(code.includes('w[') ? `\\b${key}\\b` : `\\bw\\.${key}\\b`).test(code);
    return keys.filter((key) => !isShown(key)).map((key) => `${folder} ${key}`);
  });
  assert.deepEqual(unused, []);
});
