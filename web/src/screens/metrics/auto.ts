// What a metric is looked at by, when nobody wrote a query: by its type and name.

export type Kind = 'counter' | 'gauge' | 'histogram' | 'summary' | 'info' | 'stateset' | 'unknown';

export interface Family {
  name: string;
  kind: Kind;
  help: string;
}

export interface Metadata {
  type: string;
  help: string;
}

/** Series of histograms and summaries are one family; what no metadata says is told by the name. */
export function familiesOf(names: string[], metadata: Record<string, Metadata[]>): Family[] {
  const all = new Set(names);
  const families = new Map<string, Family>();
  for (const name of names) {
    const base = name.replace(/_(bucket|sum|count)$/, '');
    const isHistogram = base !== name && all.has(`${base}_bucket`);
    const isSummary = base !== name && !isHistogram && all.has(`${base}_sum`) && all.has(`${base}_count`);
    const own = isHistogram || isSummary ? base : name;
    if (families.has(own)) continue;
    const said = metadata[own]?.[0] ?? metadata[own.replace(/_total$/, '')]?.[0];
    const kind = isHistogram ? 'histogram' : isSummary ? 'summary' : kindOf(name, said?.type);
    families.set(own, { name: own, kind, help: said?.help ?? '' });
  }
  return [...families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

const KINDS = new Set<string>(['counter', 'gauge', 'histogram', 'summary', 'info', 'stateset']);
function kindOf(name: string, said: string | undefined): Kind {
  if (said && KINDS.has(said)) return said as Kind;
  if (/_total$/.test(name)) return 'counter';
  if (/_info$/.test(name)) return 'info';
  return said === undefined || said === 'unknown' ? 'gauge' : 'unknown';
}

/** Gauges that mean nothing when added up. */
const MEANS = /(_ratio|_percent|_seconds|_timestamp|_celsius|_load\d*|_utilization|_info|_size|_limit|_max|_min|_start_time_seconds)$|^up$/;

export const plain = (name: string): boolean => /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
const selector = (name: string, more = '') => (plain(name) ? `${name}${more}` : `{${JSON.stringify(name)}}${more}`);

export function autoQuery({ name, kind }: Family, windowSeconds: number, by = ''): string {
  const grouped = by && ` by (${by})`;
  const over = `[${windowSeconds}s]`;
  if (kind === 'histogram') {
    return `histogram_quantile(0.95, sum by (${by ? `${by}, ` : ''}le) (rate(${selector(`${name}_bucket`, over)})))`;
  }
  if (kind === 'summary') {
    return `sum${grouped} (rate(${selector(`${name}_sum`, over)})) / sum${grouped} (rate(${selector(`${name}_count`, over)}))`;
  }
  if (kind === 'counter') return `sum${grouped} (rate(${selector(name, over)}))`;
  return `${MEANS.test(name) ? 'avg' : 'sum'}${grouped} (${selector(name)})`;
}

/** The name whose labels a family has. */
export const seriesName = ({ name, kind }: Family): string => (kind === 'histogram' ? `${name}_bucket` : kind === 'summary' ? `${name}_count` : name);

/** Names that differ least, for one that is not there. */
export function nearNames(wanted: string, names: string[], count = 5): string[] {
  const score = (name: string) => distance(wanted.toLowerCase(), name.toLowerCase().slice(0, 60));
  return names
    .map((name) => [score(name), name] as const)
    .sort(([a], [b]) => a - b)
    .slice(0, count)
    .map(([, name]) => name);
}

/** How many letters have to change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let k = 1; k <= b.length; k += 1) next[k] = Math.min(row[k]! + 1, next[k - 1]! + 1, row[k - 1]! + (a[i - 1] === b[k - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length]!;
}
