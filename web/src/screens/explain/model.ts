// What the server answers, the ranking while it comes, and where the evidence of a finding is shown. Pure.
import { writeFilters, type Window } from '../../core';

export const SOURCES = ['changes', 'spans', 'patterns', 'metrics'] as const;
export type Source = (typeof SOURCES)[number];

interface Common {
  name: string;
  value: string;
  score: number;
  formula: string;
  query: string;
  language: 'promql' | 'logql' | 'traceql';
}
export interface Attribute extends Common {
  kind: 'attribute';
  /** Shares between 0 and 1. */
  selection: number;
  baseline: number;
  of_selection: number;
  of_baseline: number;
}
export interface Metric extends Common {
  kind: 'metric';
  /** Medians; `null` where they are no numbers. */
  selection: number | null;
  baseline: number | null;
  distance: number;
  critical: number;
  hops: number;
}
export interface Pattern extends Common {
  kind: 'pattern';
  /** Lines. */
  selection: number;
  baseline: number;
}
export interface Change extends Common {
  kind: 'change' | 'alert';
  at: number;
  /** Negative: after the selection began. */
  before_ms: number;
  near: boolean;
}
export type Finding = Attribute | Metric | Pattern | Change;

export interface RuledOut {
  name: string;
  distance: number;
  critical: number;
}

export interface SourceAnswer {
  source: Source;
  looked_at?: number;
  findings?: Finding[];
  ruled_out?: RuledOut[];
  left_out?: string;
  /** Why this source could not look. */
  error?: string;
}
export interface Ranking {
  source: 'all';
  from: number;
  to: number;
  baseline_from: number;
  baseline_to: number;
  findings: Finding[];
  stats: { ms: number; partial: boolean };
}
export type Line = SourceAnswer | Ranking;

/** What has come so far of one question. */
export interface Answers {
  sources: Partial<Record<Source, SourceAnswer>>;
  all?: Ranking;
}

export function withLine(answers: Answers, line: Line): Answers {
  if (line.source === 'all') return { ...answers, all: line };
  return { ...answers, sources: { ...answers.sources, [line.source]: line } };
}

const order = (a: Finding, b: Finding) => b.score - a.score || (`${a.name} ${a.value}` < `${b.name} ${b.value}` ? -1 : 1);

/** The server's ranking; until it is there, that of the sources that have answered. */
export const rankedOf = ({ sources, all }: Answers): Finding[] =>
  all?.findings ?? Object.values(sources).flatMap((one) => one.findings ?? []).sort(order);

/** The source that is looked at now. */
export const waitingFor = ({ sources, all }: Answers): Source | undefined => (all ? undefined : SOURCES.find((name) => !sources[name]));

export const lookedAt = ({ sources }: Answers): number => Object.values(sources).reduce((sum, one) => sum + (one.looked_at ?? 0), 0);

/* The question */

export interface Question {
  selection: Window;
  baseline: Window;
  service: string;
  q: string;
}
/** As the server takes it where none is given. */
const BASELINE_TIMES = 4;

/** The question of an address; `selection` is its window. */
export function questionOf(q: Record<string, string>, selection: Window, service: string): Question {
  const [from, to] = [Number(q.baseline_from), Number(q.baseline_to)];
  const isGiven = q.baseline_from !== undefined && q.baseline_to !== undefined && from < to;
  const baseline = isGiven ? { from, to } : { from: selection.from - BASELINE_TIMES * (selection.to - selection.from), to: selection.from };
  return { selection, baseline, service: q.service ?? service, q: q.q ?? '' };
}

export const askedOf = ({ selection, baseline, service, q }: Question): Record<string, string> => ({
  from: String(Math.round(selection.from)), to: String(Math.round(selection.to)), service, q,
  baseline_from: String(Math.round(baseline.from)), baseline_to: String(Math.round(baseline.to)),
});

/* Evidence */

export interface Place {
  screen: 'traces' | 'logs' | 'metrics';
  q: Record<string, string>;
}

const times = ({ from, to }: Window) => ({ from: String(Math.round(from)), to: String(Math.round(to)), live: '' });

/** The screen, query and window that show a finding: series over baseline and selection, the rest within the selection. */
export function evidenceOf(finding: Finding, { selection, baseline, service }: Question): Place {
  const whole = { from: baseline.from, to: selection.to };
  if (finding.language === 'promql') return { screen: 'metrics', q: { ...times(whole), tab: 'query', expr: finding.query } };
  if (finding.language === 'logql') return { screen: 'logs', q: { ...times(selection), mode: 'logql', q: finding.query } };
  // A version may have come before the selection began.
  const window = finding.kind === 'change' ? { from: Math.min(selection.from, finding.at - 60_000), to: selection.to } : selection;
  const f = service ? writeFilters([{ key: 'service', value: service }]) : '';
  // Transactions are listed: those above the spans that were found.
  return { screen: 'traces', q: { ...times(window), f, q: `${finding.query} &<< { }` } };
}

/* The formula with its numbers */

const two = (n: number) => n.toFixed(2);

function factors(score: number, whole: number): string {
  const factor = whole > 0 ? score / whole : 1;
  return Math.abs(factor - 1) < 0.005 ? '' : ` × ${two(factor)}`;
}

/** By how much medians differ, between 0 and 1; of two that are equal, or no numbers, nothing. */
const effect = (a: number | null, b: number | null) => (a === null || b === null ? 0 : Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b), Number.MIN_VALUE));

export function formulaOf(finding: Finding, { selection, baseline }: Question): string {
  const score = two(finding.score);
  switch (finding.kind) {
    case 'attribute': {
      const lift = Math.abs(finding.selection - finding.baseline);
      return `|${two(finding.selection)} − ${two(finding.baseline)}|${factors(finding.score, lift)} = ${score}`;
    }
    case 'metric': {
      const weight = 0.9 + 0.1 * Math.min(1, effect(finding.selection, finding.baseline));
      const hops = finding.hops > 0 ? ` × 0.93^${finding.hops}` : '';
      return `D ${two(finding.distance)} (> ${two(finding.critical)})${hops} × ${two(weight)} = ${score}`;
    }
    case 'pattern': {
      const k = (selection.to - selection.from) / (baseline.to - baseline.from);
      return `log₂((${finding.selection} + 1) / (${finding.baseline} × ${two(k)} + 1)) / 10 = ${score}`;
    }
    default:
      return `e^(−${Math.round(Math.abs(finding.before_ms) / 1000)} s / 600 s)${finding.near ? '' : ' × 0.3'} = ${score}`;
  }
}
