// Findings in words: numbers first, then what they are of.
import { format } from '../../core';
import type { Change, Finding, Metric } from './model';
import { w } from './words';

export interface Said {
  /** The numbers. */
  figures: string;
  /** What differs, as it is written in the data. */
  what: string;
  /** What else is to be known. */
  more: string;
}

const percent = (share: number) => format.percent(100 * share);

/** A median in the unit of its metric; rates of counters are told as such. */
function valueOf({ name }: Metric, value: number | null): string {
  if (value === null) return '–';
  const isMean = name.endsWith('_sum');
  const text = format.unitOf(name)(value);
  return !isMean && /_(total|count)$/.test(name) ? w.perSecond({ n: text }) : text;
}

const moment = ({ before_ms }: Change) => (before_ms >= 0 ? w.before({ span: format.span(before_ms) }) : w.after({ span: format.span(-before_ms) }));

export function say(finding: Finding): Said {
  const { name, value } = finding;
  switch (finding.kind) {
    case 'attribute':
      return {
        figures: w.shares({ a: percent(finding.selection), b: percent(finding.baseline) }),
        what: `${name} = ${value}`,
        more: w.sharesOf({ a: format.int(finding.of_selection), b: format.int(finding.of_baseline) }),
      };
    case 'metric':
      return { figures: `${valueOf(finding, finding.baseline)} → ${valueOf(finding, finding.selection)}`, what: name, more: value.replace(/__name__="[^"]*",? ?/, '').replace(/^\{\}$/, '') };
    case 'pattern': {
      const figures = finding.baseline === 0 ? w.newLines({ a: format.int(finding.selection) }) : w.lines({ a: format.int(finding.selection), b: format.int(finding.baseline) });
      return { figures, what: value, more: name };
    }
    case 'change':
      return { figures: moment(finding), what: `${name} ${value}`, more: finding.near ? w.near() : w.far() };
    default:
      return { figures: moment(finding), what: name, more: value };
  }
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** The one sentence of the screen: the finding that stands first. */
export const lead = (finding: Finding): string => capital(sentence(finding));

function sentence(finding: Finding): string {
  const { figures, what, more } = say(finding);
  switch (finding.kind) {
    case 'attribute':
      return w.leadAttribute({ a: percent(finding.selection), b: percent(finding.baseline), what });
    case 'metric':
      return w.leadMetric({ figures, what });
    case 'pattern':
      return more ? w.leadPattern({ figures, what, service: more }) : w.leadPatternOnly({ figures, what });
    case 'change':
      return w.leadChange({ figures, what });
    default:
      return w.leadAlert({ figures, what });
  }
}
