import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMetric, parseTerms, toggleTerm, toLogql, wordsOf, writeTerms } from '../src/screens/logs/query';
import { levelOf, selectorOf, unseen, type Line } from '../src/screens/logs/data';

const LABELS = new Set(['service_name', 'pod']);

test('what is typed, as LogQL', () => {
  const cases: [string, string][] = [
    ['', '{service_name=~".+"}'],
    ['timed out', '{service_name=~".+"} |~ "(?i)timed" |~ "(?i)out"'],
    ['"timed out"', '{service_name=~".+"} |~ "(?i)timed out"'],
    ['-health', '{service_name=~".+"} !~ "(?i)health"'],
    ['level:error', '{service_name=~".+"} | detected_level="error"'],
    ['level:error level:warn', '{service_name=~".+"} | detected_level=~"error|warn"'],
    ['service:shop -pod:a', '{service_name="shop", pod!="a"}'],
    ['-pod:a', '{service_name=~".+", pod!="a"}'],
    ['status:504', '{service_name=~".+"} | status="504"'],
    ['-status:200 -status:201', '{service_name=~".+"} | status!~"200|201"'],
    ['a.b:x', '{service_name=~".+"} | a_b="x"'],
    ['http://x', '{service_name=~".+"} |~ "(?i)http://x"'],
    ['a"b', '{service_name=~".+"} |~ "(?i)a\\"b"'],
    ['f(x)', '{service_name=~".+"} |~ "(?i)f\\\\(x\\\\)"'],
  ];
  for (const [typed, logql] of cases) assert.equal(toLogql(typed, [], LABELS), logql, typed);
  assert.equal(toLogql('x', [{ key: 'service', value: 'a"b' }], LABELS), '{service_name="a\\"b"} |~ "(?i)x"');
});

test('terms are written as they are read', () => {
  for (const text of ['a', '-a', 'k:v', '-k:v', 'k:"two words"', '"a b" c', 'k:"-x"']) assert.equal(writeTerms(parseTerms(text)), text);
});

test('a value is included, excluded, and taken back', () => {
  const term = { key: 'status', value: '504', not: false };
  assert.equal(toggleTerm('x', term), 'x status:504');
  assert.equal(toggleTerm('x status:504', term), 'x');
  assert.equal(toggleTerm('status:504 x', { ...term, not: true }), 'x -status:504');
});

test('what is marked, what is a number, what the selector is', () => {
  assert.deepEqual(wordsOf('level:warn slow -x "a b"'), ['slow', 'a b']);
  assert.ok(isMetric('sum(rate({a="b"}[1m]))') && !isMetric(' {a="b"}'));
  assert.equal(selectorOf('{a="}", b=~"x"} |= "y"'), '{a="}", b=~"x"}');
  assert.deepEqual(['ERROR', 'warning', 'notice', 'TRACE', ''].map((level) => levelOf({ level })), ['error', 'warn', 'info', 'debug', 'unknown']);
});

test('pages share a nanosecond, and no line is lost or shown twice', () => {
  const line = (ns: string, text: string): Line => ({ ns, at: 0, text, labels: {}, level: 'info' });
  const shown = [line('9', 'a'), line('5', 'b'), line('5', 'b')];
  const page = [line('5', 'b'), line('5', 'b'), line('5', 'b'), line('5', 'c'), line('3', 'd')];
  assert.deepEqual(unseen(shown, page).map(({ text }) => text), ['b', 'c', 'd']);
  assert.deepEqual(unseen([], page).length, 5);
});
