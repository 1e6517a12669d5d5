// What the screen asks of Prometheus' API.
import { prom, queryRange, quote, stepFor, type Labels, type Line, type Series, type Window } from '../../core';
import { familiesOf, type Family, type Metadata } from './auto';

export async function families(window: Window, signal: AbortSignal): Promise<Family[]> {
  const [names, metadata] = await Promise.all([
    prom<string[]>('label/__name__/values', { start: window.from / 1000, end: window.to / 1000 }, { signal }),
    prom<Record<string, Metadata[]>>('metadata', {}, { signal }),
  ]);
  return familiesOf(names, metadata);
}

/** Seconds that a rate looks back over: four steps, a minute at least. */
export const rateSeconds = (stepMs: number): number => Math.max(60, Math.round((4 * stepMs) / 1000));
export const stepOf = (window: Window, points: number): number => Math.max(5000, stepFor(window, points));

export const nameOf = (labels: Labels): string => {
  const { __name__: name = '', ...others } = labels;
  const pairs = Object.entries(others).map(([key, value]) => `${key}=${quote(value)}`);
  return pairs.length > 0 ? `${name}{${pairs.join(', ')}}` : name;
};
export const linesOf = (series: Series[], short = false): Line[] =>
  series.map(({ labels, points }) => ({ name: short ? Object.values(labels).join(' ') : nameOf(labels), points, fill: series.length === 1 }));

export const graph = (query: string, window: Window, step: number, signal: AbortSignal): Promise<Series[]> => queryRange(query, window.from, window.to, step, { signal });

export const seriesOf = (name: string, { from, to }: Window, signal: AbortSignal): Promise<Labels[]> =>
  prom('series', { 'match[]': `{__name__=${quote(name)}}`, start: from / 1000, end: to / 1000, limit: 1000 }, { signal });

export interface Exemplar {
  trace: string;
  value: number;
  at: number;
}
export async function exemplars(name: string, { from, to }: Window, signal: AbortSignal): Promise<Exemplar[]> {
  const asked = { query: `{__name__=${quote(name)}}`, start: from / 1000, end: to / 1000 };
  const all = await prom<{ exemplars: { labels: Labels; value: string; timestamp: number }[] }[]>('query_exemplars', asked, { signal });
  const flat = all.flatMap((one) => one.exemplars.map(({ labels, value, timestamp }) => ({ trace: labels.trace_id ?? labels.traceID ?? '', value: Number(value), at: timestamp * 1000 })));
  return flat.filter(({ trace }) => trace !== '').sort((a, b) => b.value - a.value);
}
