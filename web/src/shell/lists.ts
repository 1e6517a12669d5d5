// Names that the shell offers: services and metrics of the window. Asked for when first wanted, and kept for a while.
import { prom, tokenChanges } from '../core/api';
import { range } from '../core/view';

const KEEP_MS = 60_000;
const kept = new Map<string, { at: number; names: Promise<string[]> }>();

function list(label: string, match: string | undefined): Promise<string[]> {
  const key = `${label} ${tokenChanges.value}`;
  const known = kept.get(key);
  if (known && Date.now() - known.at < KEEP_MS) return known.names;
  const { from, to } = range.value;
  const names = prom<string[]>(`label/${label}/values`, { 'match[]': match, start: from / 1000, end: to / 1000 });
  kept.set(key, { at: Date.now(), names });
  names.catch(() => kept.delete(key));
  return names;
}

export const serviceNames = (): Promise<string[]> => list('service', 'traces_spanmetrics_calls_total');
export const metricNames = (): Promise<string[]> => list('__name__', undefined);
