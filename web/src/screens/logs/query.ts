// What is typed, as LogQL. Words are looked for in lines, whatever their case; `key:value` is a label or a field;
// `-` excludes; quotes keep spaces together.
import { quote, type Filter } from '../../core';

export interface Term {
  not: boolean;
  /** Empty: a word of the line. */
  key: string;
  value: string;
}

const TERM = /(-?)(?:([A-Za-z_][\w.]*):)?(?:"((?:[^"\\]|\\.)*)"|(\S+))/g;

export function parseTerms(text: string): Term[] {
  return [...text.matchAll(TERM)].map((match) => {
    const [, not, key = '', quoted, bare = ''] = match;
    const value = quoted === undefined ? bare : quoted.replace(/\\(.)/g, '$1');
    // An address or a time is a word, not a field.
    if (key && (value.startsWith('//') || value === '')) return { not: not === '-', key: '', value: `${key}:${value}` };
    return { not: not === '-', key, value };
  });
}

export function writeTerms(terms: Term[]): string {
  const value = (text: string) => (/^[^\s"\\-][^\s"\\]*$/.test(text) ? text : `"${text.replace(/[\\"]/g, '\\$&')}"`);
  return terms.map((term) => `${term.not ? '-' : ''}${term.key && `${term.key}:`}${value(term.value)}`).join(' ');
}

/** The term is added; where it is there already, it is taken away; its opposite is replaced. */
export function toggleTerm(text: string, term: Term): string {
  const terms = parseTerms(text);
  const isSame = (other: Term) => other.key === term.key && other.value === term.value;
  const had = terms.find(isSame);
  const others = terms.filter((other) => !isSame(other));
  return writeTerms(had && had.not === term.not ? others : [...others, term]);
}

/** Short names of labels, as screens have them. */
const LABELS: Record<string, string> = { service: 'service_name', svc: 'service_name' };
const LEVEL = 'detected_level';
const FIELDS: Record<string, string> = { level: LEVEL };

/** Every stream has this label. */
export const ANY = 'service_name=~".+"';

const escapeRegex = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

export function toLogql(text: string, filters: Filter[], streamLabels: ReadonlySet<string>): string {
  const terms = [...filters.map(({ key, value }): Term => ({ not: false, key, value })), ...parseTerms(text)];
  const matchers: string[] = [];
  const stages: string[] = [];
  // Several values of one key are alternatives.
  for (const group of grouped(terms)) {
    const { key, not, values } = group;
    if (key === '') {
      stages.push(`${not ? '!~' : '|~'} ${quote(`(?i)${escapeRegex(values[0]!)}`)}`);
      continue;
    }
    const label = LABELS[key] ?? key.replace(/\./g, '_');
    const condition = (name: string) =>
      values.length === 1 ? `${name}${not ? '!=' : '='}${quote(values[0]!)}` : `${name}${not ? '!~' : '=~'}${quote(values.map(escapeRegex).join('|'))}`;
    if (streamLabels.has(label) || LABELS[key]) matchers.push(condition(label));
    else stages.push(`| ${condition(FIELDS[key] ?? label)}`);
  }
  const positive = matchers.some((matcher) => /^\w+=[~"]/.test(matcher));
  return [`{${(positive ? matchers : [ANY, ...matchers]).join(', ')}}`, ...stages].join(' ');
}

interface Group {
  key: string;
  not: boolean;
  values: string[];
}
function grouped(terms: Term[]): Group[] {
  const groups: Group[] = [];
  for (const { key, not, value } of terms) {
    const known = key === '' ? undefined : groups.find((group) => group.key === key && group.not === not);
    if (known) known.values.push(value);
    else groups.push({ key, not, values: [value] });
  }
  return groups;
}

/** The words that a search looks for, to mark them. */
export const wordsOf = (text: string): string[] => parseTerms(text).filter((term) => term.key === '' && !term.not).map((term) => term.value);

/** Whether LogQL asks for numbers, of which there are no lines. */
export const isMetric = (logql: string): boolean => !logql.trim().startsWith('{');
