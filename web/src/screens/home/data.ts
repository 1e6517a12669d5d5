// What the home screen is made of, and the order of its problems.
import { call, lastOf, loadRed, prom, queryAt, queryRange, quote, stepFor, type Grid, type Labels, type Point, type Red, type ServiceRed, type Window } from '../../core';
import { msAt, sinceOf, SLOW_MS } from '../../core';

export interface FiringAlert {
  labels: Labels;
  annotations: Labels;
  state: string;
  activeAt: string;
}

export interface Problem {
  level: 'crit' | 'warn';
  since: number;
  alert?: FiringAlert;
  service?: ServiceRed;
}

export interface Home {
  red: Red;
  alerts: FiringAlert[];
  problems: Problem[];
  /** Of the worst service. */
  slowShare: number;
  worst: ServiceRed | undefined;
  before: { p95: number; rate: number; errors: number };
}

const levelOf = ({ severity = '' }: Labels): Problem['level'] => (/^(crit|page|error|high|emerg)/i.test(severity) ? 'crit' : 'warn');

const RANK = { crit: 0, warn: 1 };
export function problemsOf(red: Red, alerts: FiringAlert[]): Problem[] {
  const ofAlerts = alerts.map((alert): Problem => ({ level: levelOf(alert.labels), since: Date.parse(alert.activeAt), alert }));
  const bad = red.services.filter(({ level }) => level === 'crit' || level === 'warn');
  const ofServices = bad.map((service): Problem => ({ level: service.level as Problem['level'], since: sinceOf(service), service }));
  return [...ofAlerts, ...ofServices].sort((a, b) => RANK[a.level] - RANK[b.level] || b.since - a.since);
}

/** The service with the most trouble. Where several are in as much, the one that most users reach. */
export function worstOf({ services }: Red, entries: Map<string, number>): ServiceRed | undefined {
  const rank = { crit: 2, warn: 1, ok: 0, wait: -1 };
  const reached = ({ service }: ServiceRed) => entries.get(service) ?? 0;
  return [...services].sort((a, b) => rank[b.level] - rank[a.level] || reached(b) - reached(a) || lastOf(b.rate) - lastOf(a.rate))[0];
}

/** Requests a second that come from outside, by service. */
async function entriesOf(to: number, signal: AbortSignal): Promise<Map<string, number>> {
  const all = await queryAt('sum by (server) (rate(traces_service_graph_request_total{client="user"}[5m]))', to, { signal });
  return new Map(all.map(({ labels, points }) => [labels.server ?? '', points[0]?.[1] ?? 0]));
}

const RECENT_MS = 300_000;

/** Percent of the transactions of the last minutes that took over three seconds. */
async function slowShareOf(service: string, to: number, signal: AbortSignal): Promise<number> {
  const grid = await call<Grid>('/api/ui/v1/hitmap', { from: Math.round(to - RECENT_MS), to: Math.round(to), service }, { signal });
  const all = grid.hits.reduce((a, b) => a + b, 0);
  const slow = grid.hits.reduce((sum, n, i) => sum + (msAt(grid.row[i]!) >= SLOW_MS ? n : 0), 0);
  return all > 0 ? (100 * slow) / all : 0;
}

const ENTRY = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"';
const DAY_MS = 86_400_000;

/** The same figures at the same time of the day before. */
async function before(service: string, to: number, signal: AbortSignal): Promise<Home['before']> {
  const of = `${ENTRY},service=${quote(service)}`;
  const calls = `sum(rate(traces_spanmetrics_calls_total{${of}}[5m]))`;
  const ask = async (query: string) => (await queryAt(query, to - DAY_MS, { signal }))[0]?.points[0]?.[1] ?? Number.NaN;
  const [p95, rate, errors] = await Promise.all([
    ask(`1000 * histogram_quantile(0.95, sum by (le) (rate(traces_spanmetrics_latency_bucket{${of}}[5m])))`),
    ask(calls),
    ask(`100 * sum(rate(traces_spanmetrics_calls_total{${of},status_code="STATUS_CODE_ERROR"}[5m])) / ${calls}`),
  ]);
  return { p95, rate, errors };
}

export async function load(window: Window, signal: AbortSignal): Promise<Home> {
  const [red, { alerts }, entries] = await Promise.all([loadRed(window, signal), prom<{ alerts: FiringAlert[] }>('alerts', {}, { signal }), entriesOf(window.to, signal)]);
  const firing = alerts.filter(({ state }) => state === 'firing');
  const worst = worstOf(red, entries);
  const nothing = { p95: Number.NaN, rate: Number.NaN, errors: Number.NaN };
  const [slowShare, past] = worst ? await Promise.all([slowShareOf(worst.service, window.to, signal), before(worst.service, window.to, signal)]) : [0, nothing];
  return { red, alerts: firing, problems: problemsOf(red, firing), slowShare, worst, before: past };
}

/** Lines of errors a minute, over the window; the last step is not whole yet. */
export async function errorLines(window: Window, signal: AbortSignal): Promise<Point[]> {
  const step = Math.max(60_000, stepFor(window, 40));
  const query = `sum(count_over_time({service_name=~".+"} | detected_level="error" [${step / 1000}s])) / ${step / 60_000}`;
  const asked = { query, start: Math.ceil(window.from / step) * (step / 1000), end: Math.floor(window.to / step) * (step / 1000), step: step / 1000 };
  const { data } = await call<{ data: { result: { values: [number, string][] }[] } }>('/loki/api/v1/query_range', asked, { signal });
  const known = new Map((data.result[0]?.values ?? []).map(([at, n]) => [at, Number(n)]));
  const points: Point[] = [];
  for (let at = asked.start; at <= asked.end; at += asked.step) points.push([at * 1000, known.get(at) ?? 0]);
  return points;
}

const INTAKE = ['mirador_metrics_samples_total', 'mirador_logs_lines_total', 'mirador_traces_spans_total'];
export async function intake(window: Window, signal: AbortSignal): Promise<Point[][]> {
  const step = Math.max(15_000, stepFor(window, 40));
  const over = Math.max(60, step / 1000);
  return Promise.all(INTAKE.map(async (name) => (await queryRange(`sum(rate(${name}[${over}s]))`, window.from, window.to, step, { signal }))[0]?.points ?? []));
}
