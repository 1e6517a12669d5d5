// Figures as text: SI for counts, IEC for bytes, a space before units, 24 h, YYYY-MM-DD. Times are in the
// browser's zone.
import { lang } from './i18n';

const two = (n: number) => String(n).padStart(2, '0');

export const date = (ms: number): string => {
  const d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
};
export const hm = (ms: number): string => {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}`;
};
export const time = (ms: number): string => `${hm(ms)}:${two(new Date(ms).getSeconds())}`;
export const milli = (ms: number): string => `${time(ms)}.${String(Math.floor(((ms % 1000) + 1000) % 1000)).padStart(3, '0')}`;
export const stamp = (ms: number): string => `${date(ms)} ${time(ms)}`;

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
export const int = (n: number): string => grouped.format(n);

/** A count: exact to ten thousand where it is whole, with SI letters beyond. */
export function si(n: number): string {
  if (!Number.isFinite(n)) return '–';
  const size = Math.abs(n);
  if (Number.isInteger(n) && size < 1e4) return int(n);
  for (const [unit, letter] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e4, 'k']] as const) {
    if (size >= unit) return `${(n / (letter === 'k' ? 1e3 : unit)).toFixed(1)}${letter}`;
  }
  if (size >= 100) return int(n);
  if (size >= 1) return n.toFixed(1);
  if (size >= 0.01) return n.toFixed(2);
  return n.toPrecision(2);
}

export function bytes(n: number): string {
  if (!Number.isFinite(n)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = n;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit > 0 && Math.abs(value) < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function percent(n: number): string {
  if (!Number.isFinite(n)) return '–';
  return `${n === 0 || (n >= 10 && n < 99) || n >= 99.95 ? n.toFixed(0) : n.toFixed(1)}%`;
}

/** Milliseconds as a duration of three figures. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  if (ms >= 9950) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 999.5) return `${(ms / 1000).toFixed(2)} s`;
  if (ms >= 9.95) return `${Math.round(ms)} ms`;
  if (ms >= 0.095 || ms === 0) return `${ms.toFixed(1)} ms`;
  return `${(ms * 1000).toFixed(ms < 0.00995 ? 1 : 0)} µs`;
}

/** How long ago, or how long, in one unit. */
export function span(ms: number): string {
  const s = Math.round(ms / 1000);
  const ko = lang.value === 'ko';
  if (s < 90) return ko ? `${s}초` : `${s} s`;
  if (s < 3570) return ko ? `${Math.round(s / 60)}분` : `${Math.round(s / 60)} min`;
  const hours = s < 36_000 ? Math.round(s / 360) / 10 : Math.round(s / 3600);
  if (s < 172_800) return ko ? `${hours}시간` : `${hours} h`;
  return ko ? `${Math.round(s / 86_400)}일` : `${Math.round(s / 86_400)} d`;
}

export type Unit = (n: number) => string;
/** The unit that a metric's name ends in, by Prometheus' rules of naming. */
export function unitOf(name: string): Unit {
  const base = name.replace(/_(total|sum|bucket|count|max|min)$/, '');
  // The series that spans give name no unit.
  if (/_seconds$|^traces_spanmetrics_latency$/.test(base)) return (n) => duration(n * 1000);
  if (/_(ms|milliseconds)$/.test(base)) return duration;
  if (/_bytes$/.test(base)) return bytes;
  if (/_ratio$/.test(base)) return (n) => percent(n * 100);
  return si;
}
