// Rules and alerts as Prometheus' API tells them, silences as Alertmanager's does.
import { call, prom, queryRange, type Labels, type Window } from '../../core';

export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: 'firing' | 'pending';
  activeAt: string;
  value: string;
}
export interface Rule {
  name: string;
  query: string;
  type: 'alerting' | 'recording';
  state?: string;
  health: string;
  lastError?: string;
  duration?: number;
  labels?: Labels;
  annotations?: Labels;
  alerts?: Alert[];
  lastEvaluation: string;
  evaluationTime: number;
}
export interface Group {
  name: string;
  file: string;
  interval: number;
  rules: Rule[];
}
export interface Known {
  labels: Labels;
  annotations: Labels;
  startsAt: string;
  status: { state: string; silencedBy: string[] };
}
export interface Matcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual: boolean;
}
export interface Silence {
  id: string;
  matchers: Matcher[];
  startsAt: string;
  endsAt: string;
  createdBy: string;
  comment: string;
  status: { state: 'active' | 'pending' | 'expired' };
}

const MANAGER = '/alertmanager/api/v2';

export interface Everything {
  groups: Group[];
  known: Known[];
  silences: Silence[];
}
export async function everything(signal: AbortSignal): Promise<Everything> {
  const [{ groups }, known, silences] = await Promise.all([
    prom<{ groups: Group[] }>('rules', {}, { signal }),
    call<Known[]>(`${MANAGER}/alerts`, {}, { signal }),
    call<Silence[]>(`${MANAGER}/silences`, {}, { signal }),
  ]);
  return { groups, known, silences };
}

export interface Row {
  name: string;
  labels: Labels;
  summary: string;
  state: 'firing' | 'pending' | 'silenced';
  level: 'warn' | 'crit';
  since: number;
  /** Milliseconds that it was pending before it fired. */
  before: number;
  value: number;
  query: string;
}

const keyOf = (labels: Labels) => JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
const levelOf = ({ severity = '' }: Labels): Row['level'] => (/^(crit|page|error|high|emerg)/i.test(severity) ? 'crit' : 'warn');
const summaryOf = (annotations: Labels) => annotations.summary ?? annotations.description ?? annotations.message ?? '';

/** Alerts by the group of their rule; what others sent comes last. */
export function rowsOf({ groups, known }: Everything): { title: string; rows: Row[] }[] {
  const silenced = new Set(known.filter((one) => one.status.silencedBy.length > 0).map((one) => keyOf(one.labels)));
  const own = new Set<string>();
  const found = groups.map((group) => {
    const rows = group.rules.flatMap((rule) =>
      (rule.alerts ?? []).map((alert): Row => {
        own.add(keyOf(alert.labels));
        const state = silenced.has(keyOf(alert.labels)) ? 'silenced' : alert.state;
        const { labels, annotations } = alert;
        return { name: rule.name, labels, summary: summaryOf(annotations), state, level: levelOf(labels), since: Date.parse(alert.activeAt), before: 1000 * (rule.duration ?? 0), value: Number(alert.value), query: rule.query };
      }),
    );
    return { title: group.name, rows };
  });
  const others = known.filter((one) => !own.has(keyOf(one.labels))).map(({ labels, annotations, startsAt, status }): Row => ({
    name: labels.alertname ?? '–', labels, summary: summaryOf(annotations), state: status.silencedBy.length > 0 ? 'silenced' : 'firing', level: levelOf(labels), since: Date.parse(startsAt), before: 0, value: Number.NaN, query: '',
  }));
  return [...found, { title: '', rows: others }].filter(({ rows }) => rows.length > 0);
}

export interface Rung {
  name: string;
  level: Row['level'];
  runs: Window[];
}
const HISTORY_STEP = 300_000;

export async function history(to: number, signal: AbortSignal): Promise<Rung[]> {
  const all = await queryRange('max by (alertname, severity) (ALERTS{alertstate="firing"})', to - 86_400_000, to, HISTORY_STEP, { signal });
  return all.map(({ labels, points }) => {
    const runs: Window[] = [];
    for (const [at] of points) {
      const last = runs.at(-1);
      if (last && at - last.to <= HISTORY_STEP * 1.5) last.to = at;
      else runs.push({ from: at - HISTORY_STEP, to: at });
    }
    return { name: labels.alertname ?? '–', level: levelOf(labels), runs };
  });
}

export async function silence(matchers: Matcher[], ms: number, comment: string): Promise<string> {
  const now = Date.now();
  const json = { matchers, startsAt: new Date(now).toISOString(), endsAt: new Date(now + ms).toISOString(), createdBy: 'mirador-ui', comment };
  return (await call<{ silenceID: string }>(`${MANAGER}/silences`, {}, { method: 'POST', json })).silenceID;
}
export const endSilence = (id: string): Promise<unknown> => call(`${MANAGER}/silence/${encodeURIComponent(id)}`, {}, { method: 'DELETE' });

export const matchersOf = (labels: Labels): Matcher[] => Object.entries(labels).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true }));

/** `name="value", other=~"a|b"`; nothing where it can't be read. */
export function parseMatchers(text: string): Matcher[] | undefined {
  const one = /\s*([A-Za-z_][\w]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)/y;
  const found: Matcher[] = [];
  const trimmed = text.trim().replace(/^\{|\}$/g, '');
  while (one.lastIndex < trimmed.length) {
    const match = one.exec(trimmed);
    if (!match) return undefined;
    const [, name, operator, quoted, bare] = match;
    found.push({ name: name!, value: quoted?.replace(/\\(.)/g, '$1') ?? bare!, isRegex: operator!.endsWith('~'), isEqual: operator!.startsWith('=') });
  }
  return found.length > 0 ? found : undefined;
}
export const matcherText = ({ name, value, isRegex, isEqual }: Matcher): string => `${name}${isEqual ? (isRegex ? '=~' : '=') : isRegex ? '!~' : '!='}"${value}"`;
