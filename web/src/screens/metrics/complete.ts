// Completion of PromQL in a plain field: the word before the cursor, and what it may become.

export const FUNCTIONS = (
  'abs absent absent_over_time avg avg_over_time bottomk ceil changes clamp clamp_max clamp_min count count_over_time count_values day_of_month day_of_week ' +
  'days_in_month delta deriv exp floor group histogram_avg histogram_count histogram_fraction histogram_quantile histogram_sum hour idelta increase irate ' +
  'label_join label_replace last_over_time ln log10 log2 max max_over_time min min_over_time minute month predict_linear present_over_time quantile ' +
  'quantile_over_time rate resets round scalar sgn sort sort_desc sqrt stddev stddev_over_time stdvar stdvar_over_time sum sum_over_time time timestamp topk vector year'
).split(' ');

export interface Word {
  start: number;
  text: string;
}

/** The name that ends at the cursor; none within quotes. */
export function wordBefore(text: string, cursor: number): Word | undefined {
  const before = text.slice(0, cursor);
  if ((before.match(/"/g) ?? []).length % 2 === 1) return undefined;
  const match = /[a-zA-Z_:][a-zA-Z0-9_:]*$/.exec(before);
  return match ? { start: match.index, text: match[0] } : undefined;
}

export interface Option {
  text: string;
  kind: 'function' | 'metric';
}

/** Names that begin with the word come before those that hold it. */
export function optionsFor(word: string, metrics: string[], count = 8): Option[] {
  const asked = word.toLowerCase();
  const all: Option[] = [...FUNCTIONS.map((text): Option => ({ text, kind: 'function' })), ...metrics.map((text): Option => ({ text, kind: 'metric' }))];
  const begins = all.filter(({ text }) => text.toLowerCase().startsWith(asked) && text !== word);
  const holds = asked.length < 3 ? [] : all.filter(({ text }) => !text.toLowerCase().startsWith(asked) && text.toLowerCase().includes(asked));
  return [...begins, ...holds].slice(0, count);
}
