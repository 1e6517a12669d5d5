// The rows of the hitmap, as docs/how-to/read-transactions.md says: 120 rows, finer where requests are fast.

export const ROWS = 120;
/** From which row, from which duration (ms), in which steps. */
const ZONES = [
  [100, 40_000, 2000],
  [80, 20_000, 1000],
  [60, 10_000, 500],
  [40, 5000, 250],
  [0, 0, 125],
] as const;

export const SLOW_MS = 3000;
export const VERY_SLOW_MS = 8000;

export type Level = 'ok' | 'warn' | 'crit';
export const levelOf = (ms: number): Level => (ms >= VERY_SLOW_MS ? 'crit' : ms >= SLOW_MS ? 'warn' : 'ok');

/** The place of a duration among the rows, with its fraction; `ROWS` at 80 s. */
export function rowAt(ms: number): number {
  const [row, from, step] = ZONES.find(([, from]) => ms >= from) ?? ZONES[4];
  return Math.min(ROWS, row + (ms - from) / step);
}
export const rowOf = (ms: number): number => Math.min(ROWS - 1, Math.floor(rowAt(ms)));

/** The duration at a place among the rows. */
export function msAt(place: number): number {
  const [row, from, step] = ZONES.find(([row]) => place >= row) ?? ZONES[4];
  return from + (place - row) * step;
}

const LOG_MIN = Math.log(50);
const LOG_SPAN = Math.log(80_000) - LOG_MIN;

/** Where a duration stands from the top (0) to the bottom (1). */
export function heightOf(ms: number, log: boolean): number {
  if (!log) return 1 - rowAt(ms) / ROWS;
  return 1 - Math.min(1, Math.max(0, (Math.log(Math.max(ms, 50)) - LOG_MIN) / LOG_SPAN));
}
/** The duration that stands there. */
export function msAtHeight(y: number, log: boolean): number {
  return log ? Math.exp(LOG_MIN + (1 - y) * LOG_SPAN) : msAt((1 - y) * ROWS);
}

/** Cells of one answer of the server, columns of equal length. */
export interface Grid {
  /** Seconds. */
  from: number;
  step: number;
  columns: number;
  column: number[];
  row: number[];
  hits: number[];
  errors: number[];
}

export interface Pattern {
  kind: 'line' | 'column';
  /** Milliseconds: where it stands. */
  at: number;
  ms: number;
}

/** Hits at one duration for so long are a line; a column with so many rows above so much is a column. */
export const LINE_SECONDS = 60;
export const LINE_MIN_MS = 5000;
export const COLUMN_ROWS = 12;
export const COLUMN_MIN_MS = 2500;

/** The patterns that the rules find: lines at one duration (±1 row), columns in which many durations end at once. */
export function patterns(grid: Grid): Pattern[] {
  return [...lines(grid), ...columns(grid)];
}

function lines(grid: Grid): Pattern[] {
  const rows = new Map<number, Set<number>>();
  grid.row.forEach((row, i) => {
    if (msAt(row) < LINE_MIN_MS || row === ROWS - 1) return;
    let seen = rows.get(row);
    if (!seen) rows.set(row, (seen = new Set()));
    seen.add(grid.column[i]!);
  });
  const need = Math.max(3, Math.ceil(LINE_SECONDS / grid.step));
  const found: Pattern[] = [];
  for (const [row, seen] of [...rows].sort((a, b) => b[1].size - a[1].size)) {
    const start = longestRun(seen, rows.get(row + 1) ?? new Set());
    if (start.length < need || isCrowd(rows, row)) continue;
    const at = (grid.from + start.column * grid.step) * 1000;
    if (!found.some((one) => Math.abs(rowOf(one.ms) - row) <= 3)) found.push({ kind: 'line', at, ms: msAt(row) });
  }
  return found.slice(0, 3);
}

/** Where rows all around are as full, there is a cloud and no line. */
function isCrowd(rows: Map<number, Set<number>>, row: number): boolean {
  const own = rows.get(row)?.size ?? 0;
  const around = [row - 4, row - 3, row + 3, row + 4].map((r) => rows.get(r)?.size ?? 0);
  return Math.max(...around) > own / 3;
}

function longestRun(a: Set<number>, b: Set<number>): { column: number; length: number } {
  const sorted = [...new Set([...a, ...b])].sort((x, y) => x - y);
  let best = { column: 0, length: 0 };
  let start = 0;
  for (let i = 0; i < sorted.length; i += 1) {
    if (i > 0 && sorted[i]! - sorted[i - 1]! > 2) start = i;
    if (i - start + 1 > best.length) best = { column: sorted[start]!, length: i - start + 1 };
  }
  return best;
}

function columns(grid: Grid): Pattern[] {
  const counts = new Map<number, number>();
  grid.row.forEach((row, i) => {
    if (msAt(row) >= COLUMN_MIN_MS) counts.set(grid.column[i]!, (counts.get(grid.column[i]!) ?? 0) + 1);
  });
  const tall = [...counts].filter(([, count]) => count >= COLUMN_ROWS);
  // A flood fills columns side by side; a column stands alone.
  const alone = tall.filter(([column]) => !counts.get(column - 1) && !counts.get(column + 1));
  return alone.slice(0, 3).map(([column]) => ({ kind: 'column', at: (grid.from + column * grid.step) * 1000, ms: COLUMN_MIN_MS }));
}
