// The hitmap: transactions by end and duration. Always the same rows, lines at 3 s and 8 s, a lane for errors.
import { heightOf, msAt, msAtHeight, SLOW_MS, VERY_SLOW_MS, type Grid, type Pattern } from './hitmap';
import type { Brush } from './brush';
import type { Colors, Ink } from './paint';
import { Plot, type PlotProps } from './plot';
import { shapeOf } from './parts';

/** A box of end (ms) and duration (ms). */
export interface Box {
  t0: number;
  t1: number;
  ms0: number;
  ms1: number;
}

interface Props {
  grid: Grid | undefined;
  from: number;
  to: number;
  height: number;
  label: string;
  log?: boolean;
  errorsOnly?: boolean;
  compact?: boolean;
  selected?: Box | undefined;
  notes?: { pattern: Pattern; text: string }[];
  onBox?: (box: Box) => void;
}

const PAD_LEFT = 44;
const LANE = 14;

export function Hitmap({ grid, from, to, height, label, log = false, errorsOnly = false, compact = false, selected, notes = [], onBox }: Props) {
  const padLeft = compact ? 0 : PAD_LEFT;
  const lane = compact ? 0 : LANE;
  const room = height - (compact ? 0 : 18);
  const share = (room - lane) / room;
  const yOf = (ms: number) => heightOf(ms, log) * share;
  const marked = selected && { t0: selected.t0, t1: selected.t1, y0: yOf(selected.ms1), y1: yOf(selected.ms0) };
  const take = (brush: Brush) => {
    const ms = (y: number) => Math.round(msAtHeight(Math.min(1, y / share), log));
    onBox?.({ t0: Math.round(brush.t0), t1: Math.round(brush.t1), ms0: ms(brush.y1), ms1: ms(brush.y0) });
  };
  const draw: PlotProps['draw'] = (ink, width, tall, x, color) => {
    const field = tall - lane;
    const y = (ms: number) => heightOf(ms, log) * field;
    ink.fillStyle = color('plot');
    ink.fillRect(padLeft, 0, width - padLeft, field);
    scale(ink, { padLeft, width, field, y, log, compact }, color);
    if (!grid) return;
    cells(ink, grid, { x, y, errorsOnly }, color);
    if (lane) errorLane(ink, grid, { x, bottom: tall, padLeft }, color);
    for (const note of compact ? [] : notes) drawNote(ink, note.text, x(note.pattern.at), y(note.pattern.ms), padLeft, color);
  };
  return (
    <Plot
      height={height} from={from} to={to} label={label} padLeft={padLeft} axis={!compact} twoD
      of={JSON.stringify([grid?.from, grid?.step, grid?.hits.length, grid?.column.at(-1), log, errorsOnly, notes.map((n) => n.text)]) + sum(grid)}
      draw={draw} selected={marked} onBrush={onBox && take}
    />
  );
}

const sum = (grid: Grid | undefined) => (grid ? grid.hits.reduce((a, b) => a + b, 0) : 0);

interface Field {
  padLeft: number;
  width: number;
  field: number;
  y: (ms: number) => number;
  log: boolean;
  compact: boolean;
}

function scale(ink: Ink, { padLeft, width, field, y, log, compact }: Field, color: Colors): void {
  ink.textAlign = 'right';
  ink.lineWidth = 1;
  let above = Infinity;
  for (const seconds of log ? [0.1, 0.3, 1, 3, 8, 30, 80] : [0, 1, 2, 3, 5, 8, 10, 20, 40, 80]) {
    const ms = seconds * 1000;
    const token = ms === SLOW_MS ? 'warn' : ms === VERY_SLOW_MS ? 'crit' : undefined;
    const py = Math.round(y(ms)) + 0.5;
    ink.strokeStyle = color(token ?? 'line');
    ink.setLineDash(token ? [4, 4] : []);
    ink.globalAlpha = 0.8;
    ink.beginPath();
    ink.moveTo(padLeft, py);
    ink.lineTo(width, py);
    if (seconds) ink.stroke();
    ink.globalAlpha = 1;
    ink.setLineDash([]);
    if (compact || (above - py <= 12 && !token)) continue;
    ink.fillStyle = color(token ? `${token}-text` : 'text-3');
    ink.fillText(`${token ? `${shapeOf(token)} ` : ''}${seconds}s`, padLeft - 5, Math.min(field, Math.max(9, py + 4)));
    above = py;
  }
}

interface Placing {
  x: (at: number) => number;
  y: (ms: number) => number;
  errorsOnly: boolean;
}

function cells(ink: Ink, grid: Grid, { x, y, errorsOnly }: Placing, color: Colors): void {
  const calm = [color('hit-1'), color('hit-2'), color('hit-3')];
  const [warn, crit, notch] = [color('warn'), color('crit'), color('text')];
  const start = grid.from * 1000;
  const step = grid.step * 1000;
  const wide = Math.max(1.2, x(start + step) - x(start) - 0.6);
  for (let i = 0; i < grid.hits.length; i += 1) {
    const errors = grid.errors[i]!;
    const count = errorsOnly ? errors : grid.hits[i]!;
    if (!count) continue;
    const ms = msAt(grid.row[i]!);
    const left = x(start + grid.column[i]! * step);
    const top = y(msAt(grid.row[i]! + 1));
    const tall = Math.max(1.6, y(ms) - top - 0.4);
    ink.fillStyle = errors || ms >= VERY_SLOW_MS ? crit : ms >= SLOW_MS ? warn : calm[count > 12 ? 2 : count > 2 ? 1 : 0]!;
    ink.globalAlpha = ms >= SLOW_MS || errors ? Math.min(1, 0.62 + count * 0.12) : 1;
    ink.fillRect(left, top, wide, tall);
    ink.globalAlpha = 1;
    if (!errors) continue;
    ink.fillStyle = notch;
    ink.fillRect(left, top, Math.max(1, wide / 2.4), Math.max(1, tall / 2.2));
  }
}

function errorLane(ink: Ink, grid: Grid, { x, bottom, padLeft }: { x: (at: number) => number; bottom: number; padLeft: number }, color: Colors): void {
  const errors = new Map<number, number>();
  grid.column.forEach((column, i) => errors.set(column, (errors.get(column) ?? 0) + grid.errors[i]!));
  ink.fillStyle = color('text-3');
  ink.textAlign = 'right';
  ink.fillText('err', padLeft - 5, bottom - 3);
  ink.fillStyle = color('crit');
  for (const [column, count] of errors) {
    if (!count) continue;
    const left = x((grid.from + column * grid.step) * 1000);
    const tall = Math.min(11, 3 + count);
    ink.fillRect(left, bottom - tall, Math.max(1, x((grid.from + (column + 1) * grid.step) * 1000) - left - 0.5), tall);
  }
}

/** A rule's finding, in words on the map. */
function drawNote(ink: Ink, text: string, px: number, at: number, padLeft: number, color: Colors): void {
  // Above what it names, so that nothing is hidden.
  const py = Math.max(12, at - 18);
  ink.font = `12px ${color('font')}`;
  const wide = ink.measureText(text).width;
  const left = Math.max(padLeft + 2, px - wide - 22);
  ink.fillStyle = color('raised');
  ink.fillRect(left, py - 10, wide + 12, 19);
  ink.strokeStyle = color('line-strong');
  ink.strokeRect(left + 0.5, py - 9.5, wide + 11, 18);
  ink.fillStyle = color('text');
  ink.textAlign = 'left';
  ink.fillText(text, left + 6, py + 4);
  ink.font = `11px ${color('mono')}`;
}
