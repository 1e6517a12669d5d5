// Times as people write them, and the window that all screens show.

/** Ends of a window in milliseconds. */
export interface Window {
  from: number;
  to: number;
}

const MINUTE = 60_000;
const DAY = 86_400_000;
const UNITS: Record<string, number> = { ms: 1, s: 1000, m: MINUTE, h: 60 * MINUTE, d: DAY, w: 7 * DAY };

/** `90s`, `5m`, `1h30m`, as milliseconds; NaN where it is none. */
export function parseSpan(text: string): number {
  if (!/^(\d+(ms|[smhdw]))+$/.test(text)) return Number.NaN;
  return [...text.matchAll(/(\d+)(ms|[smhdw])/g)].reduce((sum, [, n, unit]) => sum + Number(n) * (UNITS[unit!] ?? 0), 0);
}

/** Seconds, milliseconds, microseconds or nanoseconds since 1970, by size. */
function parseEpoch(text: string): number {
  if (!/^\d{9,19}(\.\d+)?$/.test(text)) return Number.NaN;
  const n = Number(text);
  if (n < 1e11) return Math.round(n * 1000);
  if (n < 1e14) return Math.round(n);
  return Math.round(n < 1e17 ? n / 1e3 : n / 1e6);
}

const DAY_WORDS: Record<string, number> = { 오늘: 0, today: 0, 어제: 1, yesterday: 1, 그제: 2, 그저께: 2 };

/** Midnight of the day so many days before `now`, in the browser's zone. */
function midnight(now: number, daysAgo: number): number {
  const d = new Date(now);
  return new Date(d.getFullYear(), d.getMonth(), d.getDate() - daysAgo).getTime();
}

/** The day that stands at the start of the text, and what follows it. */
function takeDay(text: string, now: number): [day: number | undefined, rest: string] {
  const word = /^([가-힣a-zA-Z]+)\s*/.exec(text);
  const ago = word ? DAY_WORDS[word[1]!.toLowerCase()] : undefined;
  if (word && ago !== undefined) return [midnight(now, ago), text.slice(word[0].length)];
  const full = /^(\d{4})[-./](\d{1,2})[-./](\d{1,2})[T\s]*/.exec(text);
  if (full) return [new Date(+full[1]!, +full[2]! - 1, +full[3]!).getTime(), text.slice(full[0].length)];
  const short = /^(\d{1,2})[-/](\d{1,2})\s+/.exec(text);
  if (short) return [new Date(new Date(now).getFullYear(), +short[1]! - 1, +short[2]!).getTime(), text.slice(short[0].length)];
  return [undefined, text];
}

/** `14:00`, `14:00:05.2`, `14시 5분`, as milliseconds of a day. */
function parseClock(text: string): number {
  const m = /^(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?$/.exec(text) ?? /^(\d{1,2})시(?:\s*(\d{1,2})분)?()$/.exec(text);
  if (!m || +m[1]! > 24 || +(m[2] ?? 0) > 59 || +(m[3] || 0) >= 60) return Number.NaN;
  return +m[1]! * 3_600_000 + +(m[2] ?? 0) * MINUTE + Math.round(+(m[3] || 0) * 1000);
}

/** One moment, as a URL or a person writes it; NaN where it is none. A clock time without a day is of `day`. */
export function parseMoment(written: string, now: number, day = midnight(now, 0)): number {
  const text = written.trim();
  const relative = /^(?:now|지금)\s*(?:([-+])\s*(\S+))?$/.exec(text);
  if (relative) {
    const offset = relative[2] ? parseSpan(relative[2]) : 0;
    return now + (relative[1] === '-' ? -offset : offset);
  }
  const epoch = parseEpoch(text);
  if (!Number.isNaN(epoch)) return epoch;
  if (/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(text)) return Date.parse(text);
  const [named, rest] = takeDay(text, now);
  if (rest === '') return named ?? Number.NaN;
  return (named ?? day) + parseClock(rest.trim());
}

/** A window as it is pasted: "어제 14:00~15:00", "now-1h", "2026-12-02T14:00:00Z", "1764651600". */
export function parseWindow(written: string, now: number): Window | undefined {
  const text = written.trim();
  const back = parseSpan(text.replace(/^(최근|last)\s*/i, ''));
  if (back > 0) return { from: now - back, to: now };
  const parts = text.split(/\s*(?:~|–|—|\.\.| - | to | 부터 )\s*|(?<=\d{1,2}:\d{2}(?::\d{2})?)-(?=\d{1,2}:\d{2})/);
  const from = parseMoment(parts[0] ?? '', now);
  if (Number.isNaN(from) || parts.length > 2) return undefined;
  if (parts[1] !== undefined) {
    const to = parseMoment(parts[1].replace(/까지$/, ''), now, dayOf(from));
    return to > from ? { from, to } : undefined;
  }
  if (/^(?:now|지금)\s*-/.test(text)) return { from, to: now };
  const isDay = /^(오늘|어제|그제|그저께|today|yesterday|\d{4}[-./]\d{1,2}[-./]\d{1,2})$/i.test(text);
  return isDay ? { from, to: Math.min(now, from + DAY) } : { from: from - 5 * MINUTE, to: from + 5 * MINUTE };
}

const dayOf = (ms: number) => midnight(ms, 0);

/** A round step so that a window has about so many. */
export function stepFor(window: Window, wanted: number): number {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400];
  const exact = (window.to - window.from) / 1000 / Math.max(1, wanted);
  return (steps.find((step) => step >= exact) ?? 86_400) * 1000;
}

/** Round moments for an axis, as text: clock times, and days where the window is long. */
export function ticks(from: number, to: number, wanted: number): [at: number, text: string][] {
  const step = stepFor({ from, to }, wanted);
  const offset = new Date(from).getTimezoneOffset() * MINUTE;
  const marks: [number, string][] = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step) marks.push([at, tickText(at, step)]);
  return marks;
}

function tickText(at: number, step: number): string {
  const d = new Date(at);
  const two = (n: number) => String(n).padStart(2, '0');
  const clock = `${two(d.getHours())}:${two(d.getMinutes())}`;
  if (step >= DAY || (step >= 3_600_000 && clock === '00:00')) return `${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  return step < MINUTE ? `${clock}:${two(d.getSeconds())}` : clock;
}
