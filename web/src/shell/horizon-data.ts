// What the horizon shows: p95 of requests, alerts that fired, and times in which the server did not write its own
// metrics, so that nobody listened.
import { computed, signal } from '@preact/signals';
import { ApiError, prom, queryRange, quote, tokenChanges, type Series } from '../core/api';
import { stepFor, type Window } from '../core/time';
import { range, service } from '../core/view';

export interface Horizon {
  /** Of the baseline and the window. */
  p95: [at: number, ms: number][];
  alerts: { from: number; to: number; level: 'warn' | 'crit' }[];
  gaps: Window[];
}

/** The baseline is so many windows long. */
export const BASELINE = 4;

export const baselineOf = ({ from, to }: Window): Window => ({ from: from - BASELINE * (to - from), to: from });

const seconds = (ms: number) => `${Math.max(60, Math.round(ms / 1000))}s`;
/** Of what enters services. */
export const ENTRY = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"';

async function p95(window: Window, of: string, abort: AbortSignal): Promise<[number, number][]> {
  const step = stepFor(window, 60);
  const only = of ? `,service=${quote(of)}` : '';
  const query = `histogram_quantile(0.95, sum by (le) (rate(traces_spanmetrics_latency_bucket{${ENTRY}${only}}[${seconds(step)}]))) * 1000`;
  const [series] = await queryRange(query, window.from, window.to, step, { signal: abort });
  return (series?.points ?? []).filter(([, v]) => Number.isFinite(v));
}

/** Runs of points; a series of Prometheus' own `ALERTS` has them while an alert fires. */
function runs(series: Series, step: number): Window[] {
  const found: Window[] = [];
  for (const [at] of series.points) {
    const last = found.at(-1);
    if (last && at - last.to <= step * 1.5) last.to = at;
    else found.push({ from: at - step, to: at });
  }
  return found;
}

async function alerts(window: Window, abort: AbortSignal): Promise<Horizon['alerts']> {
  const step = stepFor(window, 150);
  const all = await queryRange('max by (severity) (ALERTS{alertstate="firing"})', window.from, window.to, step, { signal: abort });
  const level = (series: Series) => (/^(critical|crit|page|error)$/i.test(series.labels.severity ?? '') ? 'crit' : 'warn');
  return all.flatMap((series) => runs(series, step).map((run) => ({ ...run, level: level(series) }) as const));
}

async function gaps(window: Window, abort: AbortSignal): Promise<Window[]> {
  const step = stepFor(window, 150);
  const [own] = await queryRange('count(mirador_http_requests_total)', window.from, window.to, step, { signal: abort });
  if (!own || own.points.length === 0) return [];
  const missing: Window[] = [];
  own.points.forEach(([at], i) => {
    const before = own.points[i - 1];
    // A sample stands for five minutes, so that what is missing here is longer than that.
    if (before && at - before[0] > step * 1.5) missing.push({ from: before[0], to: at });
  });
  return missing;
}

export async function load(abort: AbortSignal): Promise<Horizon> {
  const window = range.value;
  const before = baselineOf(window);
  const whole = { from: before.from, to: window.to };
  const of = service.value;
  const [a, b, fired, unheard] = await Promise.all([p95(before, of, abort), p95(window, of, abort), alerts(whole, abort), gaps(whole, abort)]);
  return { p95: [...a, ...b], alerts: fired, gaps: unheard };
}

/** Asked again when the window moves by a sixtieth. */
export const horizonKey = computed(() => {
  const { from, to } = range.value;
  const step = Math.max(15_000, (to - from) / 60);
  return `${Math.floor(to / step)} ${Math.round(to - from)} ${service.value}`;
});

/** How many alerts fire now. */
export const firing = signal(0);
export async function countFiring(): Promise<void> {
  try {
    const { alerts } = await prom<{ alerts: { state: string }[] }>('alerts');
    firing.value = alerts.filter(({ state }) => state === 'firing').length;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}
export const firingKey = computed(() => `${Math.floor(range.value.to / 15_000)} ${tokenChanges.value}`);
