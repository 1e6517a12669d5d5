import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heightOf, levelOf, msAt, msAtHeight, patterns, rowAt, rowOf, ROWS, type Grid } from '../src/core/hitmap';

test('rows are those of the server', () => {
  const cases: [number, number][] = [[0, 0], [124.9, 0], [125, 1], [4999, 39], [5000, 40], [9999, 59], [10_000, 60], [19_999, 79], [20_000, 80], [39_999, 99], [40_000, 100], [79_999, 119], [80_000, 119], [1e9, 119]];
  for (const [ms, row] of cases) assert.equal(rowOf(ms), row, `${ms} ms`);
});

test('a row begins where the one before ends', () => {
  for (let row = 0; row < ROWS; row += 1) {
    assert.equal(rowOf(msAt(row)), row);
    assert.ok(msAt(row + 1) > msAt(row));
  }
  assert.equal(msAt(ROWS), 80_000);
  assert.equal(rowAt(62.5), 0.5);
});

test('heights lead back to durations', () => {
  for (const log of [false, true]) {
    for (const ms of [100, 1000, 3000, 8000, 25_000, 79_000]) assert.ok(Math.abs(msAtHeight(heightOf(ms, log), log) - ms) < 0.01 * ms, `${ms} ${log}`);
    assert.equal(heightOf(1e9, log), 0);
  }
});

test('levels', () => {
  assert.deepEqual([2999, 3000, 7999, 8000].map(levelOf), ['ok', 'warn', 'warn', 'crit']);
});

const grid = (cells: [column: number, row: number][]): Grid => ({
  from: 1000, step: 5, columns: 360, column: cells.map(([c]) => c), row: cells.map(([, r]) => r), hits: cells.map(() => 1), errors: cells.map(() => 0),
});
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

test('a timeout is a line', () => {
  const found = patterns(grid(range(14).map((i) => [20 + i, 60])));
  assert.deepEqual(found, [{ kind: 'line', at: 1_100_000, ms: 10_000 }]);
});

test('a short one, a fast one, and a cloud are none', () => {
  assert.deepEqual(patterns(grid(range(5).map((i) => [i, 60]))), []);
  assert.deepEqual(patterns(grid(range(40).map((i) => [i, 8]))), []);
  assert.deepEqual(patterns(grid(range(40).flatMap((i) => range(12).map((k): [number, number] => [i, 54 + k])))), []);
});

test('a released lock is a column, and a flood is none', () => {
  const column = (at: number) => range(14).map((k): [number, number] => [at, 22 + k]);
  assert.deepEqual(patterns(grid(column(50))).map(({ kind, at }) => [kind, at]), [['column', 1_250_000]]);
  assert.deepEqual(patterns(grid([...column(50), ...column(51), ...column(52)])), []);
});
