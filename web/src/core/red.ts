// Rate, errors and durations of services, from the series that stored spans give.
import { queryRange, type Series } from './api';
import type { Point } from './charts';
import { SLOW_MS, VERY_SLOW_MS } from './hitmap';
import { stepFor, type Window } from './time';

/** Of what enters services. */
export const ENTRY_SPANS = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"';
/** Percent of requests that fail, from which a service is not well. */
export const ERRORS_WARN = 1;
export const ERRORS_CRIT = 5;

export interface ServiceRed {
  service: string;
  /** Requests a second. */
  rate: Point[];
  /** Percent. */
  errors: Point[];
  /** Milliseconds. */
  p50: Point[];
  p95: Point[];
  level: 'ok' | 'warn' | 'crit' | 'wait';
}

export const lastOf = (points: Point[]): number => points.findLast(([, value]) => Number.isFinite(value))?.[1] ?? Number.NaN;

export function levelOfService(rate: number, errors: number, p95: number): ServiceRed['level'] {
  if (!(rate > 0)) return 'wait';
  if (p95 >= VERY_SLOW_MS || errors >= ERRORS_CRIT) return 'crit';
  return p95 >= SLOW_MS || errors >= ERRORS_WARN ? 'warn' : 'ok';
}

/** Since when a service has been over its threshold without a break. */
export function sinceOf(one: ServiceRed): number {
  const isBad = (p95: number, errors: number) => p95 >= SLOW_MS || errors >= ERRORS_WARN;
  const errors = new Map(one.errors);
  let since = one.p95.at(-1)?.[0] ?? 0;
  for (const [at, p95] of [...one.p95].reverse()) {
    if (!isBad(p95, errors.get(at) ?? 0)) break;
    since = at;
  }
  return since;
}

const pointsBy = (series: Series[], label: string) => new Map(series.map((one) => [one.labels[label] ?? '', one.points]));

export interface Red {
  services: ServiceRed[];
  step: number;
}

export async function loadRed(window: Window, signal: AbortSignal): Promise<Red> {
  const step = Math.max(15_000, stepFor(window, 60));
  const rate = `[${Math.max(60, step / 1000)}s]`;
  const ask = (query: string) => queryRange(query, window.from, window.to, step, { signal });
  const calls = (more: string) => `sum by (service) (rate(traces_spanmetrics_calls_total{${ENTRY_SPANS}${more}}${rate}))`;
  const quantile = (q: number) => `1000 * histogram_quantile(${q}, sum by (service, le) (rate(traces_spanmetrics_latency_bucket{${ENTRY_SPANS}}${rate})))`;
  const [all, failed, half, most] = await Promise.all([ask(calls('')), ask(calls(',status_code="STATUS_CODE_ERROR"')), ask(quantile(0.5)), ask(quantile(0.95))]);
  const [errors, p50, p95] = [pointsBy(failed, 'service'), pointsBy(half, 'service'), pointsBy(most, 'service')];
  const services = all.map(({ labels, points }): ServiceRed => {
    const service = labels.service ?? '';
    const bad = new Map(errors.get(service));
    const share = points.map(([at, n]): Point => [at, n > 0 ? (100 * (bad.get(at) ?? 0)) / n : 0]);
    const slow = p95.get(service) ?? [];
    return { service, rate: points, errors: share, p50: p50.get(service) ?? [], p95: slow, level: levelOfService(lastOf(points), lastOf(share), lastOf(slow)) };
  });
  return { services, step };
}
