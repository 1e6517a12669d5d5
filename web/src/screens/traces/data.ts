// What the screen asks of the server.
import { call, prom, queryRange, quote, stepFor, type Grid, type Point, type Stats } from '../../core';

export interface HitmapAnswer extends Grid {
  stats: Stats;
}

export interface Asked {
  from: number;
  to: number;
  service: string;
  q: string;
}
const common = ({ from, to, service, q }: Asked) => ({ from: Math.round(from), to: Math.round(to), service, q });

export const hitmap = (asked: Asked, signal: AbortSignal): Promise<HitmapAnswer> => call('/api/ui/v1/hitmap', common(asked), { signal });

export interface Transaction {
  trace: string;
  span: string;
  end: number;
  ms: number;
  service: string;
  name: string;
  failed: boolean;
  http: number | null;
}

interface TxAnswer {
  count: number;
  more: boolean;
  trace_id: string[];
  span_id: string[];
  end_ms: number[];
  duration_ms: number[];
  service: string[];
  name: string[];
  status: string[];
  http_status: (number | null)[];
  stats: Stats;
}

export interface Listed {
  rows: Transaction[];
  more: boolean;
  stats: Stats;
}

export interface Wanted extends Asked {
  ms0?: number;
  ms1?: number;
  sort: string;
  errorsOnly: boolean;
  limit: number;
}

export async function transactions(wanted: Wanted, signal: AbortSignal): Promise<Listed> {
  const ms = (n: number | undefined) => (n === undefined ? undefined : `${Math.max(0, Math.floor(n))}ms`);
  const asked = { ...common(wanted), min: ms(wanted.ms0), max: ms(wanted.ms1), sort: wanted.sort, status: wanted.errorsOnly ? 'error' : undefined, limit: wanted.limit };
  const a = await call<TxAnswer>('/api/ui/v1/tx', asked, { signal });
  const rows = a.trace_id.map((trace, i): Transaction => ({
    trace, span: a.span_id[i]!, end: a.end_ms[i]!, ms: a.duration_ms[i]!, service: a.service[i]!, name: a.name[i]!, failed: a.status[i] === 'error', http: a.http_status[i] ?? null,
  }));
  return { rows, more: a.more, stats: a.stats };
}

export interface ActiveAnswer {
  total: number;
  normal: number;
  slow: number;
  very_slow: number;
  trace_id: string[];
  top: boolean[];
  service: string[];
  name: string[];
  detail: (string | null)[];
  elapsed_ms: number[];
  told_by: string[];
  inferred?: { count: number; trace_id: string[]; child_service: string[]; child_name: string[]; elapsed_at_least_ms: number[] };
}
export const active = (service: string, signal: AbortSignal): Promise<ActiveAnswer> => call('/api/ui/v1/active', { service }, { signal });

/** Rate and share of errors of the transactions, over the window. */
export async function rates({ from, to, service }: Asked, signal: AbortSignal): Promise<{ tps: Point[]; errors: Point[]; step: number }> {
  const step = Math.max(15_000, stepFor({ from, to }, 60));
  const of = `span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"${service && `,service=${quote(service)}`}`;
  const rate = `[${Math.max(60, step / 1000)}s]`;
  const calls = `sum(rate(traces_spanmetrics_calls_total{${of}}${rate}))`;
  const failed = `sum(rate(traces_spanmetrics_calls_total{${of},status_code="STATUS_CODE_ERROR"}${rate}))`;
  const ask = async (query: string) => (await queryRange(query, from, to, step, { signal }))[0]?.points ?? [];
  const [tps, errors] = await Promise.all([ask(calls), ask(`100 * (${failed} or 0 * ${calls}) / ${calls}`)]);
  return { tps, errors, step };
}

export const services = (from: number, to: number, signal: AbortSignal): Promise<string[]> =>
  prom('label/service/values', { 'match[]': 'traces_spanmetrics_calls_total', start: from / 1000, end: to / 1000 }, { signal });

/** When the newest transaction ended, within a week; nothing where there never was one. */
export async function lastEnd(signal: AbortSignal): Promise<number | undefined> {
  const now = Date.now();
  const { rows } = await transactions({ from: now - 7 * 86_400_000, to: now, service: '', q: '', sort: 'end', errorsOnly: false, limit: 1 }, signal);
  return rows[0]?.end;
}
