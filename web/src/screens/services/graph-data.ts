// Calls between services, from the series of the service graph.
import { queryAt, type Series, type Window } from '../../core';

export interface Call {
  client: string;
  server: string;
  kind: string;
  /** Calls a second. */
  rate: number;
  /** Percent. */
  errors: number;
  /** Milliseconds. */
  p95: number;
}

export interface Graph {
  calls: Call[];
  names: string[];
  /** What the nodes are, by name: those that only a client knows. */
  kinds: Map<string, string>;
}

const BY = 'client, server, connection_type';
const keyOf = ({ labels }: Series) => [labels.client, labels.server, labels.connection_type ?? ''].join('\u0000');
const valueOf = (series: Series | undefined) => series?.points[0]?.[1] ?? Number.NaN;

export async function loadGraph(window: Window, signal: AbortSignal): Promise<Graph> {
  const over = `[${Math.max(60, Math.round((window.to - window.from) / 1000))}s]`;
  const ask = (query: string) => queryAt(query, window.to, { signal });
  const [all, failed, slow] = await Promise.all([
    ask(`sum by (${BY}) (rate(traces_service_graph_request_total${over}))`),
    ask(`sum by (${BY}) (rate(traces_service_graph_request_failed_total${over}))`),
    ask(`1000 * histogram_quantile(0.95, sum by (${BY}, le) (rate(traces_service_graph_request_server_seconds_bucket${over})))`),
  ]);
  const index = (list: Series[]) => new Map(list.map((series) => [keyOf(series), series]));
  const [bad, p95] = [index(failed), index(slow)];
  const calls = all
    .map((series): Call => {
      const rate = valueOf(series);
      const { client = '', server = '', connection_type: kind = '' } = series.labels;
      return { client, server, kind, rate, errors: (100 * (valueOf(bad.get(keyOf(series))) || 0)) / rate, p95: valueOf(p95.get(keyOf(series))) };
    })
    .filter((call) => call.rate > 0);
  const kinds = new Map<string, string>();
  for (const { client, server, kind } of calls) {
    if (kind === 'database' || kind === 'messaging_system') kinds.set(server, 'stored');
    if (kind === 'virtual_node') kinds.set(client === 'user' ? client : server, 'outside');
  }
  return { calls, kinds, names: [...new Set(calls.flatMap(({ client, server }) => [client, server]))] };
}

export const isBad = ({ p95, errors }: Call): boolean => p95 >= 8000 || errors >= 5;
