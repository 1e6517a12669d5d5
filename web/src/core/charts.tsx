// Lines, stacked bars, sparklines, the ring. Axes begin at zero; two labels stand within the plot; of many series
// the highest is coloured and the rest are grey; numbers stand in the caption; ⇧v shows a table instead.
import { effect, signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import * as format from './format';
import type { Brush } from './brush';
import { hatch, type Ink } from './paint';
import { crossAt, Plot, type PlotProps } from './plot';
import { shapeOf, Table } from './parts';
import { w } from './ui.words';

/** Whether charts show their numbers instead. */
export const asTables = signal(false);

export type Point = [at: number, value: number];
export interface Line {
  name: string;
  points: Point[];
  /** A token; without it the first four have one each, the rest are grey. */
  color?: string;
  fill?: boolean;
}

const DASHES = [[], [5, 3], [1, 2], [7, 2, 1, 2]];
const SERIES_MAX = 4;

/** The least round number above. */
export function niceMax(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((m) => m * power >= value) ?? 10) * power;
}

const last = (line: Line) => line.points.at(-1)?.[1] ?? Number.NaN;
const highest = (line: Line) => line.points.reduce((most, [, v]) => (Number.isFinite(v) && v > most ? v : most), -Infinity);

export function nearest(points: Point[], at: number): Point | undefined {
  let low = 0;
  let high = points.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle]![0] < at) low = middle + 1;
    else high = middle;
  }
  const [a, b] = [points[low - 1], points[low]];
  return a && b && at - a[0] < b[0] - at ? a : (b ?? a);
}

/** Few keep their place and colour; of many the highest comes first and alone has one. */
function styled(lines: Line[]): { line: Line; token: string; dash: number[] }[] {
  if (lines.length <= SERIES_MAX) return lines.map((line, i) => ({ line, token: line.color ?? `c${i + 1}`, dash: DASHES[i]! }));
  const sorted = [...lines].sort((a, b) => highest(b) - highest(a));
  return sorted.map((line, i) => ({ line, token: i === 0 ? 'c1' : 'series-rest', dash: [] }));
}

export interface LineChartProps {
  title: string;
  note?: ComponentChildren;
  lines: Line[];
  from: number;
  to: number;
  height?: number;
  unit?: format.Unit;
  max?: number;
  axis?: boolean;
  limits?: { value: number; level: 'warn' | 'crit' }[];
  onBrush?: PlotProps['onBrush'];
  selected?: Brush | undefined;
  /** Points further apart than this are not joined. */
  step?: number;
  bare?: boolean;
}

export function LineChart(props: LineChartProps) {
  const { title, lines, from, to, unit = format.si, limits = [] } = props;
  const drawn = styled(lines);
  const tops = [...lines.map(highest), ...limits.map((limit) => (lines.some((l) => highest(l) > limit.value / 3) ? limit.value * 1.05 : 0))];
  const top = props.max ?? niceMax(Math.max(0, ...tops) * 1.04);
  const many = lines.length > SERIES_MAX;
  const label = `${title}: ${drawn.slice(0, SERIES_MAX).map(({ line }) => `${line.name} ${unit(last(line))}`).join(', ')}`;
  const draw: PlotProps['draw'] = (ink, width, height, x, color) => {
    const y = (v: number) => height - 1 - Math.min(1, Math.max(0, v / top)) * (height - 12);
    grid(ink, width, y, top, color('line'));
    for (const limit of limits) if (limit.value <= top) limitLine(ink, width, y(limit.value), `${shapeOf(limit.level)} ${unit(limit.value)}`, color(limit.level), color(`${limit.level}-text`));
    for (const { line, token, dash } of [...drawn].reverse()) drawLine(ink, line, x, y, { stroke: color(token), dash, floor: height, gap: (props.step ?? Infinity) * 2.5 });
    labels(ink, y, top, unit, color('ground'), color('text-3'));
  };
  if (asTables.value) return <Twin {...props} unit={unit} />;
  const plot = <Plot height={props.height ?? 132} from={from} to={to} label={label} axis={props.axis} of={lines} draw={draw} onBrush={props.onBrush} selected={props.selected} />;
  if (props.bare) return plot;
  return (
    <figure class="chart">
      <figcaption>
        <span class="name">{title}</span>
        {props.note && <span class="note">{props.note}</span>}
        <span class="reads">
          {many && <span class="faint">{w.highest()}</span>}
          {drawn.slice(0, many ? 1 : SERIES_MAX).map(({ line, token, dash }) => (
            <Read key={line.name} line={line} token={token} dashed={dash.length > 0} unit={unit} />
          ))}
        </span>
      </figcaption>
      {plot}
    </figure>
  );
}

/** A series in the caption, with its value under the crosshair, or its last. */
function Read({ line, token, dashed, unit }: { line: Line; token: string; dashed: boolean; unit: format.Unit }) {
  const value = useRef<HTMLElement>(null);
  useEffect(
    () =>
      effect(() => {
        const at = crossAt.value;
        const point = at === undefined ? line.points.at(-1) : nearest(line.points, at);
        if (value.current) value.current.textContent = point ? unit(point[1]) : '–';
      }),
    [line],
  );
  return (
    <span class="read">
      <i class={dashed ? 'dashed' : ''} style={{ color: `var(--${token})` }} />
      {line.name && <span>{line.name}</span>}
      <b ref={value}>{unit(last(line))}</b>
    </span>
  );
}

function grid(ink: Ink, width: number, y: (v: number) => number, top: number, stroke: string): void {
  ink.strokeStyle = stroke;
  ink.lineWidth = 1;
  for (const share of [0, 0.5, 1]) {
    ink.beginPath();
    ink.moveTo(0, Math.round(y(top * share)) + 0.5);
    ink.lineTo(width, Math.round(y(top * share)) + 0.5);
    ink.stroke();
  }
}

function limitLine(ink: Ink, width: number, y: number, text: string, stroke: string, fill: string): void {
  ink.strokeStyle = stroke;
  ink.setLineDash([5, 3]);
  ink.beginPath();
  ink.moveTo(0, y);
  ink.lineTo(width, y);
  ink.stroke();
  ink.setLineDash([]);
  ink.fillStyle = fill;
  ink.textAlign = 'left';
  ink.fillText(text, 44, y - 4);
}

interface Pen {
  stroke: string;
  dash: number[];
  floor: number;
  gap: number;
}

/** Segments of a line: values that are no numbers, and times without points, are left out, never joined. */
function drawLine(ink: Ink, line: Line, x: (at: number) => number, y: (v: number) => number, pen: Pen): void {
  ink.strokeStyle = pen.stroke;
  ink.fillStyle = pen.stroke;
  ink.lineWidth = 1.5;
  ink.lineJoin = 'round';
  const runs: Point[][] = [];
  let before = -Infinity;
  for (const point of line.points) {
    if (!Number.isFinite(point[1])) continue;
    if (point[0] - before > pen.gap) runs.push([]);
    (runs.at(-1) ?? runs[runs.push([]) - 1]!).push(point);
    before = point[0];
  }
  for (const run of runs) {
    ink.setLineDash(pen.dash);
    ink.beginPath();
    run.forEach(([at, v], i) => (i ? ink.lineTo(x(at), y(v)) : ink.moveTo(x(at), y(v))));
    if (run.length === 1) ink.lineTo(x(run[0]![0]) + 2, y(run[0]![1]));
    ink.stroke();
    ink.setLineDash([]);
    if (!line.fill) continue;
    ink.lineTo(x(run.at(-1)![0]), pen.floor);
    ink.lineTo(x(run[0]![0]), pen.floor);
    ink.globalAlpha = 0.14;
    ink.fill();
    ink.globalAlpha = 1;
  }
}

function labels(ink: Ink, y: (v: number) => number, top: number, unit: format.Unit, ground: string, fill: string): void {
  ink.textAlign = 'left';
  for (const share of [0.5, 1]) {
    const text = unit(top * share);
    ink.globalAlpha = 0.75;
    ink.fillStyle = ground;
    ink.fillRect(0, y(top * share) + 2, ink.measureText(text).width + 4, 13);
    ink.globalAlpha = 1;
    ink.fillStyle = fill;
    ink.fillText(text, 1, y(top * share) + 12);
  }
}

/** The numbers of a chart at a few moments. */
function Twin({ title, lines, from, to, unit = format.si }: LineChartProps) {
  const moments = Array.from({ length: 7 }, (_, i) => from + ((to - from) * i) / 6);
  const columns = [
    { head: w.timeHead(), cell: (at: number) => format.time(at) },
    ...lines.slice(0, 8).map((line) => ({ head: line.name || title, class: 'num', cell: (at: number) => unit(nearest(line.points, at)?.[1] ?? Number.NaN) })),
  ];
  return (
    <figure class="chart">
      <figcaption>
        <span class="name">{title}</span>
      </figcaption>
      <div class="twin">
        <Table columns={columns} rows={moments} label={title} rowKey={String} />
      </div>
    </figure>
  );
}

/* Stacked bars */

export interface Stack {
  name: string;
  color: string;
  values: number[];
  hatched?: boolean;
}
interface BarsProps {
  label: string;
  stacks: Stack[];
  /** Where the first bar begins, and how wide one is. */
  first: number;
  step: number;
  from: number;
  to: number;
  height?: number;
  onBrush?: PlotProps['onBrush'];
  selected?: Brush | undefined;
}

export function Bars({ label, stacks, first, step, from, to, height = 104, onBrush, selected }: BarsProps) {
  const count = Math.max(0, ...stacks.map((stack) => stack.values.length));
  const sums = Array.from({ length: count }, (_, i) => stacks.reduce((sum, stack) => sum + (stack.values[i] ?? 0), 0));
  const top = niceMax(Math.max(1, ...sums));
  const draw: PlotProps['draw'] = (ink, width, room, x, color) => {
    ink.strokeStyle = color('line');
    ink.beginPath();
    for (const y of [room - 0.5, 10.5]) {
      ink.moveTo(0, y);
      ink.lineTo(width, y);
    }
    ink.stroke();
    for (let i = 0; i < count; i += 1) {
      const left = Math.max(0, x(first + i * step));
      const wide = Math.max(1, x(first + (i + 1) * step) - left - 1);
      let y = room;
      for (const stack of stacks) {
        const tall = ((stack.values[i] ?? 0) / top) * (room - 11);
        if (!tall) continue;
        ink.fillStyle = color(stack.color);
        ink.fillRect(left, y - Math.max(tall, 1.2), wide, Math.max(tall, 1.2));
        if (stack.hatched && tall > 3) hatch(ink, left, y - tall, wide, tall, color('ground'), 4);
        y -= tall;
      }
    }
    ink.fillStyle = color('text-3');
    ink.textAlign = 'left';
    ink.fillText(format.si(top), 1, 22);
  };
  return <Plot height={height} from={from} to={to} label={label} of={stacks} draw={draw} onBrush={onBrush} selected={selected} />;
}

/* Small pictures */

/** A line that ends in a dot; never an axis. */
export function Spark({ points, width = 84, height = 22, color = 'ok', max }: { points: Point[]; width?: number; height?: number; color?: string; max?: number }) {
  const known = points.filter(([, v]) => Number.isFinite(v));
  if (known.length < 2) return <svg class="spark" width={width} height={height} aria-hidden="true" />;
  const top = max ?? Math.max(1e-9, ...known.map(([, v]) => v));
  const [first, end] = [known[0]![0], known.at(-1)![0]];
  const x = (at: number) => ((at - first) / (end - first)) * (width - 4) + 1;
  const y = (v: number) => height - 2 - Math.min(1, v / top) * (height - 5);
  const d = known.map(([at, v], i) => `${i ? 'L' : 'M'}${x(at).toFixed(1)} ${y(v).toFixed(1)}`).join('');
  const stroke = `var(--${color})`;
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <path d={`${d}L${width - 3} ${height}L1 ${height}Z`} fill={stroke} opacity={0.13} />
      <path d={d} fill="none" stroke={stroke} stroke-width={1.4} stroke-linejoin="round" />
      <circle cx={width - 3} cy={y(known.at(-1)![1])} r={2} fill={stroke} />
    </svg>
  );
}

/** Three arcs of growing width, the total in the middle. */
export function Ring({ counts, label, caption, size = 132, onClick }: { counts: [number, number, number]; label: string; caption: string; size?: number; onClick?: () => void }) {
  const total = counts[0] + counts[1] + counts[2];
  const radius = size / 2 - 9;
  const around = 2 * Math.PI * radius;
  let offset = 0;
  const arcs = counts.map((count, i) => {
    const length = total ? (count / total) * around : 0;
    const arc = (
      <circle
        key={i} cx={size / 2} cy={size / 2} r={radius} fill="none"
        stroke={`var(--${['ok', 'warn', 'crit'][i]})`} stroke-width={[7, 10, 13][i]}
        stroke-dasharray={`${Math.max(0, length - 2)} ${around}`} stroke-dashoffset={-offset}
        transform={`rotate(-90 ${size / 2} ${size / 2})`}
      />
    );
    offset += length;
    return arc;
  });
  return (
    <button type="button" class="ring" title={label} onClick={onClick}>
      <svg width={size} height={size} viewBox={`0 0 ${size} ${size}`} aria-hidden="true">
        <circle cx={size / 2} cy={size / 2} r={radius} fill="none" stroke="var(--line)" stroke-width={3} />
        {arcs}
      </svg>
      <span>
        <b>{total}</b>
        <small>{caption}</small>
      </span>
    </button>
  );
}
