// The frame of every chart over time: a canvas for the ink, elements for crosshair and brush, so that hovering
// never paints again. One crosshair for all charts of a screen.
import { effect, signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { ticks } from './time';
import { theme } from './view';
import { w } from './ui.words';

/** The moment under the pointer, in every chart. */
export const crossAt = signal<number | undefined>(undefined);

/** A selection; y is a share of the height from the top. */
export interface Brush {
  t0: number;
  t1: number;
  y0: number;
  y1: number;
}

export const FOOT = 18;
export type Ink = CanvasRenderingContext2D;
export type Colors = (token: string) => string;

export interface PlotProps {
  height: number;
  from: number;
  to: number;
  label: string;
  padLeft?: number;
  axis?: boolean;
  /** Paints within width and height (without the axis). */
  draw: (ink: Ink, width: number, height: number, x: (at: number) => number, color: Colors) => void;
  /** Painted again when this changes. */
  of: unknown;
  onBrush?: (brush: Brush, at: { x: number; y: number }) => void;
  /** The brush spans height as well as time. */
  twoD?: boolean;
  selected?: Brush | undefined;
  /** Times in which nobody listened. */
  gaps?: { from: number; to: number }[] | undefined;
}

let computedStyleOf: { theme: string; style: CSSStyleDeclaration } | undefined;
export const color: Colors = (token) => {
  if (computedStyleOf?.theme !== theme.value) computedStyleOf = { theme: theme.value, style: getComputedStyle(document.documentElement) };
  return computedStyleOf.style.getPropertyValue(`--${token}`).trim();
};

/** Sizes a canvas to its box and the pixels of the screen. */
export function prepare(canvas: HTMLCanvasElement, height: number): [ink: Ink, width: number] | undefined {
  const width = canvas.parentElement?.clientWidth ?? 0;
  const ink = canvas.getContext('2d');
  if (!ink || width === 0) return undefined;
  const ratio = devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.height = `${height}px`;
  ink.scale(ratio, ratio);
  ink.font = `11px ${color('mono')}`;
  return [ink, width];
}

/** Paints a canvas when its size, the theme or what it shows changes. */
export function usePaint(height: number, paint: (ink: Ink, width: number) => void, of: unknown[]) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const look = theme.value;
  const run = useRef<() => void>(() => {});
  run.current = () => {
    const ready = canvas.current && prepare(canvas.current, height);
    if (ready) paint(...ready);
  };
  useLayoutEffect(() => run.current(), [height, look, ...of]);
  useEffect(() => {
    const box = canvas.current?.parentElement;
    if (!box) return undefined;
    let width = box.clientWidth;
    const watch = new ResizeObserver(() => {
      if (box.clientWidth !== width) run.current();
      width = box.clientWidth;
    });
    watch.observe(box);
    return () => watch.disconnect();
  }, []);
  return canvas;
}

export function hatch(ink: Ink, x: number, y: number, width: number, height: number, stroke: string, gap = 6): void {
  ink.save();
  ink.beginPath();
  ink.rect(x, y, width, height);
  ink.clip();
  ink.strokeStyle = stroke;
  ink.globalAlpha = 0.7;
  ink.lineWidth = 1;
  ink.beginPath();
  for (let i = x - height; i < x + width; i += gap) {
    ink.moveTo(i, y + height);
    ink.lineTo(i + height, y);
  }
  ink.stroke();
  ink.restore();
}

/** Clock times below a plot. */
function axis(ink: Ink, props: PlotProps, width: number, x: (at: number) => number): void {
  const left = props.padLeft ?? 0;
  ink.fillStyle = color('text-3');
  ink.textAlign = 'center';
  for (const [at, text] of ticks(props.from, props.to, (width - left) / 84)) {
    const px = x(at);
    if (px >= left + 16 && px <= width - 18) ink.fillText(text, px, props.height - 4);
  }
}

const clamp = (n: number, low: number, high: number) => Math.min(high, Math.max(low, n));

export function Plot(props: PlotProps) {
  const { height, from, to, padLeft = 0, onBrush, selected } = props;
  const foot = props.axis === false ? 0 : FOOT;
  const box = useRef<HTMLDivElement>(null);
  const line = useRef<HTMLDivElement>(null);
  const mark = useRef<HTMLDivElement>(null);
  const start = useRef<{ x: number; y: number } | undefined>(undefined);
  const keyed = useRef<Brush | undefined>(undefined);
  const place = useRef({ from, to, padLeft });
  place.current = { from, to, padLeft };
  const xOf = (at: number, width: number) => padLeft + ((at - from) / (to - from)) * (width - padLeft);
  const timeAt = (px: number) => from + ((px - padLeft) / ((box.current?.clientWidth ?? 1) - padLeft)) * (to - from);

  const canvas = usePaint(
    height,
    (ink, width) => {
      const x = (at: number) => xOf(at, width);
      if (foot) axis(ink, props, width, x);
      for (const gap of props.gaps ?? []) {
        const left = Math.max(padLeft, x(gap.from));
        if (x(gap.to) > left) hatch(ink, left, 0, x(gap.to) - left, height - foot, color('line-strong'));
      }
      props.draw(ink, width, height - foot, x, color);
    },
    [from, to, props.of],
  );

  const show = (brush: Brush | undefined) => {
    const style = mark.current?.style;
    if (!style) return;
    style.display = brush ? 'block' : 'none';
    if (!brush) return;
    const width = box.current!.clientWidth;
    const left = clamp(xOf(brush.t0, width), padLeft, width);
    style.left = `${left}px`;
    style.width = `${Math.max(1, clamp(xOf(brush.t1, width), padLeft, width) - left)}px`;
    style.top = `${brush.y0 * (height - foot)}px`;
    style.height = `${(brush.y1 - brush.y0) * (height - foot)}px`;
  };
  useLayoutEffect(() => show(selected), [selected, from, to, height]);

  // The crosshair moves without the component being drawn again.
  useEffect(
    () =>
      effect(() => {
        const at = crossAt.value;
        if (!line.current || !box.current) return;
        const { from, to, padLeft } = place.current;
        const on = at !== undefined && at >= from && at <= to;
        line.current.style.display = on ? 'block' : 'none';
        if (on) line.current.style.left = `${padLeft + ((at - from) / (to - from)) * (box.current.clientWidth - padLeft)}px`;
      }),
    [],
  );

  const area = (event: PointerEvent): Brush & { wide: number } => {
    const rect = box.current!.getBoundingClientRect();
    const xs = [start.current!.x, clamp(event.clientX - rect.left, padLeft, rect.width)].sort((a, b) => a - b);
    const ys = [start.current!.y, clamp(event.clientY - rect.top, 0, height - foot)].sort((a, b) => a - b);
    const share = (y: number) => y / (height - foot);
    const span = props.twoD ? { y0: share(ys[0]!), y1: share(ys[1]!) } : { y0: 0, y1: 1 };
    return { t0: timeAt(xs[0]!), t1: timeAt(xs[1]!), ...span, wide: xs[1]! - xs[0]! };
  };
  const onDown = (event: PointerEvent) => {
    const rect = box.current!.getBoundingClientRect();
    const x = event.clientX - rect.left;
    if (!onBrush || event.button || x < padLeft) return;
    start.current = { x, y: clamp(event.clientY - rect.top, 0, height - foot) };
    box.current!.setPointerCapture(event.pointerId);
  };
  const onMove = (event: PointerEvent) => {
    const x = event.clientX - box.current!.getBoundingClientRect().left;
    if (x >= padLeft) crossAt.value = timeAt(x);
    if (start.current) show(area(event));
  };
  const onUp = (event: PointerEvent) => {
    if (!start.current) return;
    const brush = area(event);
    start.current = undefined;
    if (brush.wide < 4) show(selected);
    else onBrush?.(brush, { x: event.clientX, y: event.clientY + 8 });
  };

  /** b begins on a focused plot, arrows move, with Shift they resize, Enter takes. */
  const onKey = (event: KeyboardEvent) => {
    if (!onBrush) return;
    const step = (to - from) / 40;
    const brush = keyed.current;
    if (event.key === 'b' && !brush) keyed.current = { t0: from + step * 28, t1: from + step * 36, y0: 0, y1: props.twoD ? 0.9 : 1 };
    else if (!brush) return;
    else if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
      const by = event.key === 'ArrowLeft' ? -step : step;
      if (!event.shiftKey) brush.t0 = clamp(brush.t0 + by, from, to - step);
      brush.t1 = clamp(brush.t1 + by, brush.t0 + step, to);
    } else if (event.key === 'Enter' || event.key === 'Escape') {
      const rect = box.current!.getBoundingClientRect();
      keyed.current = undefined;
      if (event.key === 'Enter') onBrush(brush, { x: rect.left + rect.width / 2, y: rect.bottom });
    } else return;
    event.preventDefault();
    event.stopPropagation();
    show(keyed.current ?? selected);
  };
  return (
    <div
      ref={box}
      class="plot"
      role={onBrush ? 'application' : 'img'}
      aria-label={onBrush ? `${props.label}. ${w.brushHelp()}` : props.label}
      tabIndex={onBrush ? 0 : undefined}
      onPointerDown={onDown}
      onPointerMove={onMove}
      onPointerUp={onUp}
      onPointerLeave={() => (crossAt.value = undefined)}
      onKeyDown={onKey}
    >
      <canvas ref={canvas} aria-hidden="true" />
      <div ref={line} class="cross" />
      <div ref={mark} class="brush" />
    </div>
  );
}
