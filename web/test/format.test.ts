import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as format from '../src/core/format';
import { lang } from '../src/core/i18n';
import { nearest, niceMax } from '../src/core/charts';

test('counts', () => {
  const cases: [number, string][] = [[0, '0'], [7, '7'], [9999, '9,999'], [12_345, '12.3k'], [3_400_000, '3.4M'], [2.5e9, '2.5G'], [1e13, '10.0T'], [1.25, '1.3'], [0.24, '0.24'], [0.0006, '0.00060'], [123.4, '123'], [-12_345, '-12.3k'], [Number.NaN, '–']];
  for (const [n, text] of cases) assert.equal(format.si(n), text);
});

test('bytes, durations, percents', () => {
  assert.deepEqual([0, 1023, 1536, 9.8 * 2 ** 20, 5e12].map(format.bytes), ['0 B', '1023 B', '1.5 KiB', '9.8 MiB', '4.5 TiB']);
  assert.deepEqual([0, 0.02, 0.4, 9.9, 12.4, 999, 1000, 9.96e3, 30_250].map(format.duration), ['0.0 ms', '20 µs', '0.4 ms', '9.9 ms', '12 ms', '999 ms', '1.00 s', '10.0 s', '30.3 s']);
  assert.deepEqual([0, 0.05, 4.13, 12.6, 99.4, 100].map(format.percent), ['0%', '0.1%', '4.1%', '13%', '99.4%', '100%']);
});

test('times are of the zone, in 24 hours', () => {
  const ms = Date.parse('2026-12-02T14:02:03.045+09:00');
  assert.equal(format.stamp(ms), '2026-12-02 14:02:03');
  assert.equal(format.milli(ms), '14:02:03.045');
});

test('spans in both languages', () => {
  lang.value = 'ko';
  assert.deepEqual([5000, 1_800_000, 3_600_000, 5_400_000, 86_400_000, 604_800_000].map(format.span), ['5초', '30분', '1시간', '1.5시간', '24시간', '7일']);
  lang.value = 'en';
  assert.deepEqual([5000, 1_800_000, 7_200_000, 604_800_000].map(format.span), ['5 s', '30 min', '2 h', '7 d']);
});

test('units by name', () => {
  assert.equal(format.unitOf('http_request_seconds_bucket')(0.25), '250 ms');
  assert.equal(format.unitOf('process_resident_memory_bytes')(2 ** 20), '1.0 MiB');
  assert.equal(format.unitOf('cache_hit_ratio')(0.5), '50%');
  assert.equal(format.unitOf('requests_total')(12), '12');
});

test('axes end at round numbers', () => {
  assert.deepEqual([0, 0.9, 1.1, 14, 26, 99, 1001].map(niceMax), [1, 1, 1.5, 15, 30, 100, 1500]);
});

test('the point nearest to a moment', () => {
  const points: [number, number][] = [[0, 1], [10, 2], [20, 3]];
  assert.deepEqual([-5, 4, 6, 14, 16, 99].map((at) => nearest(points, at)![1]), [1, 1, 2, 2, 3, 3]);
  assert.equal(nearest([], 5), undefined);
});
