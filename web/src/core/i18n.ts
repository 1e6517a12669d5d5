// Words in two languages, written side by side: Korean first, English its twin. A missing twin is a type
// error; test/words.test.ts checks that no twin is empty or lacks a placeholder.
import { signal } from '@preact/signals';

export type Lang = 'ko' | 'en';
export type Pair = readonly [ko: string, en: string];
type Values = Record<string, string | number>;

export const lang = signal<Lang>('ko');

/** `{n}` becomes the value; `{n|line|lines}` the first word where the value is 1, and the second elsewhere. */
export function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^|}]*))?\}/g, (_, name: string, one?: string, many?: string) => {
    const value = values[name] ?? '';
    if (one === undefined) return String(value);
    return String(value) === '1' ? one : (many ?? '');
  });
}

export const pick = (pair: Pair): string => pair[lang.value === 'ko' ? 0 : 1];

export type Words<T extends Record<string, Pair>> = { [K in keyof T]: (values?: Values) => string };

const dictionaries: Record<string, Pair>[] = [];
/** Every dictionary that was loaded, for the tests. */
export const loadedWords = (): readonly Record<string, Pair>[] => dictionaries;

/** A dictionary: each entry a function that answers in the chosen language. */
export function words<T extends Record<string, Pair>>(dictionary: T): Words<T> {
  dictionaries.push(dictionary);
  const of = (pair: Pair) => (values: Values = {}) => fill(pick(pair), values);
  return Object.fromEntries(Object.entries(dictionary).map(([key, pair]) => [key, of(pair)])) as Words<T>;
}
