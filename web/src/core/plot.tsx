// The frame of every chart over time: a canvas for the ink, elements for crosshair and brush, so that hovering
// never paints again. One crosshair for all charts of a screen.
import { effect, signal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { timeIn, useBrush, xIn, type Brush, type Field, type OnBrush } from './brush';
import { color, hatch, usePaint, type Colors, type Ink } from './paint';
import { ticks } from './time';
import { w } from './ui.words';

/** The moment under the pointer, in every chart. */
export const crossAt = signal<number | undefined>(undefined);

export const FOOT = 18;

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
  onBrush?: OnBrush;
  /** The brush spans height as well as time. */
  twoD?: boolean;
  selected?: Brush | undefined;
  /** Times in which nobody listened. */
  gaps?: { from: number; to: number }[] | undefined;
}

/** Clock times below a plot. */
function axis(ink: Ink, { from, to, padLeft, height }: Field, width: number, x: (at: number) => number): void {
  ink.fillStyle = color('text-3');
  ink.textAlign = 'center';
  for (const [at, text] of ticks(from, to, (width - padLeft) / 84)) {
    const px = x(at);
    if (px >= padLeft + 16 && px <= width - 18) ink.fillText(text, px, height + FOOT - 4);
  }
}

/** The crosshair moves without the component being drawn again. */
function useCrosshair(box: RefObject<HTMLDivElement | null>, field: Field) {
  const line = useRef<HTMLDivElement>(null);
  const latest = useRef(field);
  latest.current = field;
  const follow = () => {
    const at = crossAt.value;
    if (!line.current || !box.current) return;
    const on = at !== undefined && at >= latest.current.from && at <= latest.current.to;
    line.current.style.display = on ? 'block' : 'none';
    if (on) line.current.style.left = `${xIn(latest.current, at, box.current.clientWidth)}px`;
  };
  useEffect(() => effect(follow), []);
  return line;
}

export function Plot(props: PlotProps) {
  const { from, to, padLeft = 0, onBrush, selected, twoD = false } = props;
  const foot = props.axis === false ? 0 : FOOT;
  const field: Field = { from, to, padLeft, height: props.height - foot };
  const box = useRef<HTMLDivElement>(null);
  const mark = useRef<HTMLDivElement>(null);
  const paint = (ink: Ink, width: number) => {
    const x = (at: number) => xIn(field, at, width);
    if (foot) axis(ink, field, width, x);
    for (const gap of props.gaps ?? []) {
      const left = Math.max(padLeft, x(gap.from));
      if (x(gap.to) > left) hatch(ink, left, 0, x(gap.to) - left, field.height, color('line-strong'));
    }
    props.draw(ink, width, field.height, x, color);
  };
  const canvas = usePaint(props.height, paint, [from, to, props.of]);
  const line = useCrosshair(box, field);
  const brushing = useBrush({ box, mark }, field, { onBrush, twoD, selected });
  const onPointerMove = (event: PointerEvent) => {
    const x = event.clientX - box.current!.getBoundingClientRect().left;
    if (x >= padLeft) crossAt.value = timeIn(field, x, box.current!.clientWidth);
    brushing.onPointerMove(event);
  };
  return (
    <div
      ref={box} class="plot" role={onBrush ? 'application' : 'img'} tabIndex={onBrush ? 0 : undefined}
      aria-label={onBrush ? `${props.label}. ${w.brushHelp()}` : props.label}
      {...brushing} onPointerMove={onPointerMove} onPointerLeave={() => (crossAt.value = undefined)}
    >
      <canvas ref={canvas} aria-hidden="true" />
      <div ref={line} class="cross" />
      <div ref={mark} class="brush" />
    </div>
  );
}
