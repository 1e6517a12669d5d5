// Selecting a part of a plot, with the pointer or with keys.
import type { RefObject } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

/** A selection; y is a share of the height from the top. */
export interface Brush {
  t0: number;
  t1: number;
  y0: number;
  y1: number;
}

export type OnBrush = (brush: Brush, at: { x: number; y: number }) => void;

/** Where times stand in a plot. */
export interface Field {
  from: number;
  to: number;
  padLeft: number;
  /** Without the axis. */
  height: number;
}

const clamp = (n: number, low: number, high: number) => Math.min(high, Math.max(low, n));
/** Less is a click. */
const WIDTH_MIN = 4;
/** Steps of the keyboard in a window. */
const STEPS = 40;

export const xIn = ({ from, to, padLeft }: Field, at: number, width: number): number => padLeft + ((at - from) / (to - from)) * (width - padLeft);
export const timeIn = ({ from, to, padLeft }: Field, x: number, width: number): number => from + ((x - padLeft) / (width - padLeft)) * (to - from);

/** Shows a selection by an element, so that no chart is painted again. */
function place(style: CSSStyleDeclaration, brush: Brush | undefined, field: Field, width: number): void {
  style.display = brush ? 'block' : 'none';
  if (!brush) return;
  const left = clamp(xIn(field, brush.t0, width), field.padLeft, width);
  style.left = `${left}px`;
  style.width = `${Math.max(1, clamp(xIn(field, brush.t1, width), field.padLeft, width) - left)}px`;
  style.top = `${brush.y0 * field.height}px`;
  style.height = `${(brush.y1 - brush.y0) * field.height}px`;
}

interface Corner {
  x: number;
  y: number;
}

function between(a: Corner, b: Corner, field: Field, width: number, twoD: boolean): Brush & { wide: number } {
  const xs = [a.x, b.x].sort((p, q) => p - q) as [number, number];
  const ys = [a.y, b.y].sort((p, q) => p - q) as [number, number];
  const heights = twoD ? { y0: ys[0] / field.height, y1: ys[1] / field.height } : { y0: 0, y1: 1 };
  return { t0: timeIn(field, xs[0], width), t1: timeIn(field, xs[1], width), ...heights, wide: xs[1] - xs[0] };
}

/** What a key makes of a selection; nothing where the key is none of ours. */
function moved(event: KeyboardEvent, brush: Brush | undefined, { from, to }: Field, twoD: boolean): Brush | undefined {
  const step = (to - from) / STEPS;
  if (event.key === 'b' && !brush) return { t0: from + step * 28, t1: from + step * 36, y0: 0, y1: twoD ? 0.9 : 1 };
  if (!brush || (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight')) return undefined;
  const by = event.key === 'ArrowLeft' ? -step : step;
  const t0 = event.shiftKey ? brush.t0 : clamp(brush.t0 + by, from, to - step);
  return { ...brush, t0, t1: clamp(brush.t1 + by, t0 + step, to) };
}

interface Parts {
  box: RefObject<HTMLDivElement | null>;
  mark: RefObject<HTMLDivElement | null>;
}

/** Handlers for the box of a plot. `b` begins on a focused plot, arrows move, with Shift they resize, Enter takes. */
export function useBrush({ box, mark }: Parts, field: Field, options: { onBrush: OnBrush | undefined; twoD: boolean; selected: Brush | undefined }) {
  const { onBrush, twoD, selected } = options;
  const start = useRef<Corner | undefined>(undefined);
  const keyed = useRef<Brush | undefined>(undefined);
  const width = () => box.current?.clientWidth ?? 1;
  const show = (brush: Brush | undefined) => mark.current && place(mark.current.style, brush, field, width());
  useLayoutEffect(() => void show(selected), [selected, field.from, field.to, field.height]);
  const corner = (event: PointerEvent): Corner => {
    const rect = box.current!.getBoundingClientRect();
    return { x: clamp(event.clientX - rect.left, field.padLeft, rect.width), y: clamp(event.clientY - rect.top, 0, field.height) };
  };
  const onPointerDown = (event: PointerEvent) => {
    const outside = event.clientX - box.current!.getBoundingClientRect().left < field.padLeft;
    if (!onBrush || event.button || outside) return;
    start.current = corner(event);
    box.current!.setPointerCapture(event.pointerId);
  };
  const onPointerMove = (event: PointerEvent) => start.current && show(between(start.current, corner(event), field, width(), twoD));
  const onPointerUp = (event: PointerEvent) => {
    if (!start.current) return;
    const brush = between(start.current, corner(event), field, width(), twoD);
    start.current = undefined;
    if (brush.wide < WIDTH_MIN) show(selected);
    else onBrush?.(brush, { x: event.clientX, y: event.clientY + 8 });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!onBrush) return;
    const brush = keyed.current;
    const ends = brush && (event.key === 'Enter' || event.key === 'Escape');
    const next = moved(event, brush, field, twoD);
    if (!ends && !next) return;
    event.preventDefault();
    event.stopPropagation();
    keyed.current = next;
    show(next ?? selected);
    const rect = box.current!.getBoundingClientRect();
    if (brush && event.key === 'Enter') onBrush(brush, { x: rect.left + rect.width / 2, y: rect.bottom });
  };
  return { onPointerDown, onPointerMove, onPointerUp, onKeyDown };
}
