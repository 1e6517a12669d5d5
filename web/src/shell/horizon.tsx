// The strip that all screens share: left the baseline, four windows long and compressed, in the brace the window.
import * as format from '../core/format';
import { SLOW_MS, VERY_SLOW_MS } from '../core/hitmap';
import { useLoad } from '../core/load';
import { color, hatch, usePaint, type Ink } from '../core/paint';
import { ticks, type Window } from '../core/time';
import { range } from '../core/view';
import { baselineOf, horizonKey, load, type Horizon as Data } from './horizon-data';
import { w } from './words';

const HEIGHT = 46;
const FOLD = 0.36;
const [TOP, BASE] = [15, 33];

export function Horizon() {
  const { data } = useLoad(horizonKey.value, load);
  const window = range.value;
  const canvas = usePaint(HEIGHT, (ink, width) => paint(ink, width, window, data), [data, window.from, window.to, w.baseline()]);
  return (
    <div class="horizon" role="img" aria-label={w.horizon()}>
      <canvas ref={canvas} aria-hidden="true" />
    </div>
  );
}

function paint(ink: Ink, width: number, window: Window, data: Data | undefined): void {
  const before = baselineOf(window);
  const fold = Math.round(width * FOLD);
  const x = (at: number) =>
    at < window.from ? ((at - before.from) / (before.to - before.from)) * fold : fold + ((at - window.from) / (window.to - window.from)) * (width - fold);
  ink.fillStyle = color('surface');
  ink.fillRect(fold, 0, width - fold, HEIGHT);
  if (data) {
    pressure(ink, data.p95, x);
    for (const gap of data.gaps) hatch(ink, x(gap.from), TOP, x(gap.to) - x(gap.from), BASE - TOP, color('text-3'), 4);
    for (const alert of data.alerts) alertLane(ink, alert, x);
  }
  axis(ink, { before, window, fold, width }, x);
  brace(ink, fold, width);
  caption(ink, format.span(before.to - before.from));
}

/** Bars of p95, on a root scale so that calm times are seen too; coloured by what the value is. */
function pressure(ink: Ink, points: Data['p95'], x: (at: number) => number): void {
  const max = Math.max(1000, ...points.map(([, ms]) => ms));
  points.forEach(([at, ms], i) => {
    const left = x(points[i - 1]?.[0] ?? at);
    const tall = Math.max(1, Math.sqrt(ms / max) * (BASE - TOP));
    ink.fillStyle = color(ms >= VERY_SLOW_MS ? 'crit' : ms >= SLOW_MS ? 'warn' : 'hit-1');
    ink.fillRect(left, BASE - tall, Math.max(1, Math.min(24, x(at) - left)), tall);
  });
}

function alertLane(ink: Ink, alert: Data['alerts'][number], x: (at: number) => number): void {
  const critical = alert.level === 'crit';
  ink.fillStyle = color(alert.level);
  ink.fillRect(x(alert.from), BASE + 1, Math.max(2, x(alert.to) - x(alert.from)), critical ? 3 : 2);
  if (critical) ink.fillRect(x(alert.from) - 3, 4, 7, 7);
  else triangle(ink, x(alert.from), 4);
}

function triangle(ink: Ink, x: number, y: number): void {
  ink.beginPath();
  ink.moveTo(x, y);
  ink.lineTo(x + 4, y + 7);
  ink.lineTo(x - 4, y + 7);
  ink.fill();
}

function axis(ink: Ink, { before, window, fold, width }: { before: Window; window: Window; fold: number; width: number }, x: (at: number) => number): void {
  ink.textAlign = 'center';
  ink.fillStyle = color('text-3');
  const marks = [...ticks(before.from, before.to, fold / 90), ...ticks(window.from, window.to, (width - fold) / 110)];
  for (const [at, text] of marks) {
    const px = x(at);
    if (Math.abs(px - fold) > 24 && px < width - 22 && px > 20) ink.fillText(text, px, 45);
  }
}

function brace(ink: Ink, fold: number, width: number): void {
  ink.strokeStyle = color('accent');
  ink.lineWidth = 2;
  ink.beginPath();
  for (const [edge, turn] of [[fold + 1, 6], [width - 1, -6]] as const) {
    ink.moveTo(edge + turn, 1);
    ink.lineTo(edge, 1);
    ink.lineTo(edge, 45);
    ink.lineTo(edge + turn, 45);
  }
  ink.stroke();
}

function caption(ink: Ink, span: string): void {
  ink.font = `12px ${color('font')}`;
  ink.textAlign = 'left';
  ink.fillStyle = color('text-3');
  ink.fillText(w.baseline({ span }), 20, 12);
}
