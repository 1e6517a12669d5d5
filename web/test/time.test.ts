import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMoment, parseSpan, parseWindow, stepFor, ticks } from '../src/core/time';

/** Wednesday, 2026-12-02 14:12:00 in Seoul. */
const NOW = Date.parse('2026-12-02T14:12:00+09:00');
const at = (text: string) => Date.parse(`${text}+09:00`);

test('spans', () => {
  assert.equal(parseSpan('1h30m'), 5_400_000);
  assert.equal(parseSpan('250ms'), 250);
  assert.equal(parseSpan('7d'), 604_800_000);
  for (const bad of ['', 'h', '5', '5 m', '1y', '-5m']) assert.ok(Number.isNaN(parseSpan(bad)), bad);
});

test('moments, as URLs and people write them', () => {
  const cases: [string, number][] = [
    ['now', NOW],
    ['now-1h', NOW - 3_600_000],
    ['지금-5m', NOW - 300_000],
    ['1764651600', 1_764_651_600_000],
    ['1764651600123', 1_764_651_600_123],
    ['1764651600123456', 1_764_651_600_123],
    ['1764651600123456789', 1_764_651_600_123],
    ['2026-12-02T05:00:00Z', at('2026-12-02T14:00:00')],
    ['2026-12-02 14:00:05', at('2026-12-02T14:00:05')],
    ['2026-12-02', at('2026-12-02T00:00:00')],
    ['어제 14:00', at('2026-12-01T14:00:00')],
    ['yesterday 9:05', at('2026-12-01T09:05:00')],
    ['14시 5분', at('2026-12-02T14:05:00')],
    ['그제 3시', at('2026-11-30T03:00:00')],
    ['12-01 09:00', at('2026-12-01T09:00:00')],
  ];
  for (const [text, expected] of cases) assert.equal(parseMoment(text, NOW), expected, text);
  for (const bad of ['', 'soon', '25:00', '12:60', '내일까지', 'now-x']) assert.ok(Number.isNaN(parseMoment(bad, NOW)), bad);
});

test('windows, as they are pasted', () => {
  const cases: [string, string, string][] = [
    ['어제 14:00~15:00', '2026-12-01T14:00:00', '2026-12-01T15:00:00'],
    ['어제 14:00 – 15:30', '2026-12-01T14:00:00', '2026-12-01T15:30:00'],
    ['yesterday 14:00-15:00', '2026-12-01T14:00:00', '2026-12-01T15:00:00'],
    ['2026-12-01 23:00 ~ 2026-12-02 01:00', '2026-12-01T23:00:00', '2026-12-02T01:00:00'],
    ['어제', '2026-12-01T00:00:00', '2026-12-02T00:00:00'],
    ['오늘', '2026-12-02T00:00:00', '2026-12-02T14:12:00'],
    ['now-1h', '2026-12-02T13:12:00', '2026-12-02T14:12:00'],
    ['최근 10m', '2026-12-02T14:02:00', '2026-12-02T14:12:00'],
    ['14:05', '2026-12-02T14:00:00', '2026-12-02T14:10:00'],
    ['2026-12-02T05:00:00Z', '2026-12-02T13:55:00', '2026-12-02T14:05:00'],
  ];
  for (const [text, from, to] of cases) assert.deepEqual(parseWindow(text, NOW), { from: at(from), to: at(to) }, text);
  for (const bad of ['', 'abc', '15:00~14:00', '1~2~3']) assert.equal(parseWindow(bad, NOW), undefined, bad);
});

test('steps are round, and so are ticks', () => {
  const half = { from: NOW - 1_800_000, to: NOW };
  assert.equal(stepFor(half, 120), 15_000);
  assert.equal(stepFor({ from: 0, to: 86_400_000 }, 120), 900_000);
  const marks = ticks(half.from, half.to, 6);
  assert.deepEqual(marks.map(([, text]) => text), ['13:45', '13:50', '13:55', '14:00', '14:05', '14:10']);
  const days = ticks(at('2026-11-29T12:00:00'), at('2026-12-02T12:00:00'), 3);
  assert.deepEqual(days.map(([, text]) => text), ['11-30', '12-01', '12-02']);
});
