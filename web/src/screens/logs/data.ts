// Loki's API as the screen uses it.
import { call, stepFor, type Labels, type Point, type Window } from '../../core';

export interface Line {
  /** Nanoseconds since 1970, as text: a number would lose some. */
  ns: string;
  at: number;
  text: string;
  labels: Labels;
  level: Level;
}
export type Level = 'error' | 'warn' | 'info' | 'debug' | 'unknown';
export const LEVELS: Level[] = ['error', 'warn', 'info', 'debug'];

interface LokiAnswer<T> {
  data: T;
}
interface Streams {
  resultType: 'streams' | 'matrix' | 'vector';
  result: { stream?: Labels; metric?: Labels; values: [string | number, string][]; value?: [number, string] }[];
}

export const PAGE = 500;

export function levelOf(labels: Labels): Level {
  const text = (labels.detected_level ?? labels.level ?? labels.severity_text ?? '').toLowerCase();
  if (/^(err|fatal|crit|panic|emerg|alert)/.test(text)) return 'error';
  if (text.startsWith('warn')) return 'warn';
  if (/^(info|notice)/.test(text)) return 'info';
  return /^(debug|trace)/.test(text) ? 'debug' : 'unknown';
}

const nanos = (ms: number) => (BigInt(Math.round(ms)) * 1_000_000n).toString();

export interface Asked {
  query: string;
  start: string;
  end: string;
  direction: 'forward' | 'backward';
  limit: number;
}
export const askedOf = (query: string, { from, to }: Window): Asked => ({ query, start: nanos(from), end: nanos(to), direction: 'backward', limit: PAGE });

export interface Found {
  lines: Line[];
  /** Of a query for numbers. */
  series: { name: string; points: Point[] }[] | undefined;
  /** There may be more beyond the last. */
  more: boolean;
}

function linesOf(result: Streams['result']): Line[] {
  const lines = result.flatMap(({ stream = {}, values }) => {
    const level = levelOf(stream);
    return values.map(([ns, text]): Line => ({ ns: String(ns), at: Number(String(ns).slice(0, -6)), text, labels: stream, level }));
  });
  return lines.sort((a, b) => (a.ns.length - b.ns.length || (a.ns < b.ns ? -1 : a.ns > b.ns ? 1 : 0)) * -1);
}

const nameOf = (labels: Labels | undefined) => Object.entries(labels ?? {}).map((pair) => pair.join('=')).join(', ') || 'value';

export async function find(asked: Asked, stepMs: number, signal: AbortSignal): Promise<Found> {
  const { data } = await call<LokiAnswer<Streams>>('/loki/api/v1/query_range', { ...asked, step: Math.max(1, stepMs / 1000) }, { signal });
  if (data.resultType === 'streams') {
    const lines = linesOf(data.result);
    return { lines, series: undefined, more: lines.length >= asked.limit };
  }
  const series = data.result.map(({ metric, values }) => ({ name: nameOf(metric), points: values.map(([at, v]): Point => [Number(at) * 1000, Number(v)]) }));
  return { lines: [], series, more: false };
}

/** The next page: lines up to the nanosecond of the last one, which may have more than were shown. */
export const before = (asked: Asked, last: Line): Asked => ({ ...asked, end: (BigInt(last.ns) + 1n).toString() });

/** What a next page brings that is not shown yet: the two share the lines of one nanosecond. */
export function unseen(shown: Line[], page: Line[]): Line[] {
  const last = shown.at(-1)?.ns;
  const keyOf = (line: Line) => JSON.stringify([line.text, line.labels]);
  const known: string[] = [];
  for (let i = shown.length - 1; i >= 0 && shown[i]!.ns === last; i -= 1) known.push(keyOf(shown[i]!));
  return page.filter((line) => {
    const at = line.ns === last ? known.indexOf(keyOf(line)) : -1;
    if (at >= 0) known.splice(at, 1);
    return at < 0;
  });
}
export const after = (asked: Asked, newest: string, now: number): Asked => ({ ...asked, start: (BigInt(newest) + 1n).toString(), end: nanos(now + 1000), direction: 'forward', limit: 1000 });

export interface Volume {
  first: number;
  step: number;
  byLevel: Record<Level, number[]>;
  totals: Record<Level, number>;
  all: number;
}

export async function volume(query: string, window: Window, signal: AbortSignal): Promise<Volume> {
  const step = stepFor(window, 120);
  const first = Math.floor(window.from / step) * step;
  const count = Math.ceil((window.to - first) / step);
  const asked = { query: `sum by (detected_level) (count_over_time(${query} [${step / 1000}s]))`, start: nanos(first + step), end: nanos(first + count * step), step: step / 1000 };
  const { data } = await call<LokiAnswer<Streams>>('/loki/api/v1/query_range', asked, { signal });
  const byLevel = Object.fromEntries([...LEVELS, 'unknown'].map((level) => [level, new Array<number>(count).fill(0)])) as Record<Level, number[]>;
  for (const { metric = {}, values } of data.result) {
    const bins = byLevel[levelOf(metric)];
    for (const [at, v] of values) {
      const bin = Math.round((Number(at) * 1000 - first) / step) - 1;
      if (bin >= 0 && bin < count) bins[bin]! += Number(v);
    }
  }
  const totals = Object.fromEntries(Object.entries(byLevel).map(([level, bins]) => [level, bins.reduce((a, b) => a + b, 0)])) as Record<Level, number>;
  return { first, step, byLevel, totals, all: Object.values(totals).reduce((a, b) => a + b, 0) };
}

export interface Facet {
  key: string;
  values: [value: string, count: number][];
}

const HIDDEN = new Set(['detected_level', 'level', 'severity_text', 'severity_number', 'trace_id', 'span_id', 'traceid', 'observed_timestamp', 'flags']);
const FACETS_MAX = 8;
/** Names with more values than this single out lines rather than kinds of them. */
const VALUES_MAX = 100;
const SHOWN_FIRST = ['service_name', 'k8s_namespace_name', 'k8s_pod_name', 'namespace', 'pod', 'container', 'app', 'job', 'status'];

/** Which names lines can be told apart by, and how often each value is. */
export async function facets(query: string, window: Window, signal: AbortSignal): Promise<Facet[]> {
  const asked = { query, start: nanos(window.from), end: nanos(window.to) };
  const [labels, fields] = await Promise.all([
    call<{ detectedLabels?: { label: string; cardinality: number }[] }>('/loki/api/v1/detected_labels', { ...asked, query: selectorOf(query) }, { signal }),
    call<{ fields?: { label: string; cardinality: number; parsers: string[] | null }[] }>('/loki/api/v1/detected_fields', asked, { signal }),
  ]);
  const stored = (fields.fields ?? []).filter(({ parsers }) => !parsers?.length);
  const names = [...(labels.detectedLabels ?? []), ...stored].filter(({ label, cardinality }) => !HIDDEN.has(label) && cardinality <= VALUES_MAX).map(({ label }) => label);
  const rank = (name: string) => SHOWN_FIRST.indexOf(name) + 1 || 99;
  const chosen = [...new Set(names)].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)).slice(0, FACETS_MAX);
  const found = await Promise.all(chosen.map((key) => valuesOf(key, query, window, signal)));
  return found.filter((facet) => facet.values.length > 0);
}

/** The streams that a query selects, without what it does with lines. */
export function selectorOf(query: string): string {
  const match = /^\{(?:[^"`}]|"(?:[^"\\]|\\.)*"|`[^`]*`)*\}/.exec(query.trim());
  return match?.[0] ?? query;
}

async function valuesOf(key: string, query: string, { from, to }: Window, signal: AbortSignal): Promise<Facet> {
  const over = Math.max(1, Math.round((to - from) / 1000));
  const { data } = await call<LokiAnswer<Streams>>('/loki/api/v1/query', { query: `sum by (${key}) (count_over_time(${query} [${over}s]))`, time: nanos(to) }, { signal });
  const values = data.result.map(({ metric, value }): [string, number] => [metric?.[key] ?? '', Number(value?.[1] ?? 0)]);
  return { key, values: values.filter(([value]) => value !== '').sort((a, b) => b[1] - a[1]) };
}

export async function labelNames(window: Window, signal: AbortSignal): Promise<string[]> {
  return (await call<{ data?: string[] }>('/loki/api/v1/labels', { start: nanos(window.from), end: nanos(window.to) }, { signal })).data ?? [];
}

export interface PatternRow {
  pattern: string;
  level: Level;
  points: Point[];
  count: number;
}
export async function patterns(query: string, window: Window, signal: AbortSignal): Promise<PatternRow[]> {
  const asked = { query: selectorOf(query), start: nanos(window.from), end: nanos(window.to), step: stepFor(window, 48) / 1000 };
  const { data } = await call<{ data: { pattern: string; level?: string; samples: [number, number][] }[] }>('/loki/api/v1/patterns', asked, { signal });
  const rows = data.map(({ pattern, level, samples }): PatternRow => ({
    pattern, level: levelOf({ level: level ?? '' }), points: samples.map(([at, n]): Point => [at * 1000, n]), count: samples.reduce((sum, [, n]) => sum + n, 0),
  }));
  return rows.sort((a, b) => b.count - a.count);
}

/** Lines of the same stream before and behind one. */
export async function around(line: Line, selector: string, signal: AbortSignal): Promise<Line[]> {
  const hour = 3_600_000_000_000n;
  const ns = BigInt(line.ns);
  const ask = async (asked: Asked) => (await find(asked, 1000, signal)).lines;
  const [newer, older] = await Promise.all([
    ask({ query: selector, start: (ns + 1n).toString(), end: (ns + hour).toString(), direction: 'forward', limit: 5 }),
    ask({ query: selector, start: (ns - hour).toString(), end: ns.toString(), direction: 'backward', limit: 5 }),
  ]);
  return [...newer, line, ...older].reverse();
}

/** The newest line of a week. */
export async function lastLine(signal: AbortSignal): Promise<number | undefined> {
  const now = Date.now();
  const asked = { ...askedOf('{service_name=~".+"}', { from: now - 7 * 86_400_000, to: now + 60_000 }), limit: 1 };
  return (await find(asked, 1000, signal)).lines[0]?.at;
}
