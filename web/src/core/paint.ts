// Ink: canvases that follow their box, the pixels of the screen and the theme; colours by token; hatching.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { theme } from './view';

export type Ink = CanvasRenderingContext2D;
export type Colors = (token: string) => string;

let known: { theme: string; style: CSSStyleDeclaration } | undefined;
export const color: Colors = (token) => {
  if (known?.theme !== theme.value) known = { theme: theme.value, style: getComputedStyle(document.documentElement) };
  return known.style.getPropertyValue(`--${token}`).trim();
};

/** Sizes a canvas to its box and the pixels of the screen. */
function prepare(canvas: HTMLCanvasElement, height: number): [ink: Ink, width: number] | undefined {
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
