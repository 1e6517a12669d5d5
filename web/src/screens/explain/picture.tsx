// A small picture for each kind: the selection in purple, the baseline in grey.
import { format } from '../../core';
import type { Change, Finding, Question } from './model';

const WIDTH = 168;
const HEIGHT = 40;
const BAR = 112;

export function Picture({ finding, question }: { finding: Finding; question: Question }) {
  const { selection, baseline } = question;
  switch (finding.kind) {
    case 'attribute':
      return <Pair a={finding.selection} b={finding.baseline} text={(share) => format.percent(100 * share)} max={1} />;
    case 'metric':
      return <Pair a={finding.selection ?? 0} b={finding.baseline ?? 0} text={format.unitOf(finding.name)} />;
    case 'pattern': {
      // As many as there would be, had nothing changed.
      const expected = (finding.baseline * (selection.to - selection.from)) / (baseline.to - baseline.from);
      return <Pair a={finding.selection} b={expected} text={(n) => format.si(Math.round(n))} />;
    }
    default:
      return <Moment change={finding} selection={selection} />;
  }
}

function Pair({ a, b, text, max = Math.max(Math.abs(a), Math.abs(b), Number.MIN_VALUE) }: { a: number; b: number; text: (n: number) => string; max?: number }) {
  const wide = (n: number) => Math.max(1, (Math.abs(n) / max) * BAR);
  return (
    <svg width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <rect y={6} width={wide(a)} height={11} fill="var(--sel)" />
      <text x={wide(a) + 5} y={16} class="sv">{text(a)}</text>
      <rect y={22} width={wide(b)} height={11} fill="var(--line-strong)" />
      <text x={wide(b) + 5} y={32} class="sv">{text(b)}</text>
    </svg>
  );
}

/** A change on the line of time, of which the last third is the selection, unless the change came within. */
function Moment({ change, selection }: { change: Change; selection: { from: number; to: number } }) {
  const from = Math.min(change.at, selection.from) - (selection.to - selection.from) / 8;
  const x = (at: number) => 4 + ((at - from) / (selection.to - from)) * (WIDTH - 8);
  const at = x(Math.min(change.at, selection.to));
  const anchor = at < 40 ? 'start' : at > WIDTH - 40 ? 'end' : 'middle';
  return (
    <svg width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <path d={`M0 26H${WIDTH}`} stroke="var(--line-strong)" />
      <rect x={x(selection.from)} y={22} width={x(selection.to) - x(selection.from)} height={8} fill="var(--sel)" />
      <path d={`M${at} 21l5 5-5 5-5-5z`} fill="var(--text)" stroke="var(--ground)" />
      <text x={anchor === 'start' ? 2 : anchor === 'end' ? WIDTH - 2 : at} y={13} class="sv" text-anchor={anchor}>{format.time(change.at)}</text>
    </svg>
  );
}
