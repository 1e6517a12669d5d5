// What every screen shares: the window, whether it follows the clock, filters, language and theme. All of it is
// read from the URL; language and theme are remembered in the browser where a URL does not name them.
import { computed, effect, signal } from '@preact/signals';
import { lang, type Lang } from './i18n';
import { parseMoment, type Window } from './time';
import { route, set } from './url';

export const DEFAULT_FROM = 'now-30m';
const LIVE_MS = 10_000;

/** Now, for windows that follow the clock: moves on while LIVE, and when something is asked for anew. */
export const now = signal(Date.now());
export const refresh = (): void => void (now.value = Date.now());

const q = (key: string) => computed(() => route.value.q[key] ?? '');
export const fromText = computed(() => q('from').value || DEFAULT_FROM);
export const toText = computed(() => q('to').value || 'now');

export const isRelative = computed(() => toText.value === 'now');
export const live = computed(() => isRelative.value && route.value.q.live !== '0');

export const range = computed<Window>(() => {
  const at = now.value;
  const from = parseMoment(fromText.value, at);
  const to = parseMoment(toText.value, at);
  if (Number.isNaN(from) || Number.isNaN(to) || from >= to) return { from: at - 1_800_000, to: at };
  return { from, to };
});

export function setWindow({ from, to }: Window, replace = false): void {
  set({ from: String(Math.round(from)), to: String(Math.round(to)), live: '', sel: '' }, replace);
}

/** So many milliseconds up to now; the clock is followed again. */
export function setLast(text: string): void {
  refresh();
  set({ from: text === DEFAULT_FROM ? '' : text, to: '', live: '', sel: '' });
}

export function shift(by: number): void {
  const { from, to } = range.value;
  const width = to - from;
  const end = to + by * width;
  if (end >= Date.now() && by > 0) return setWindow({ from: Date.now() - width, to: Date.now() });
  setWindow({ from: from + by * width, to: end });
}

export function zoom(factor: number): void {
  const { from, to } = range.value;
  const middle = (from + to) / 2;
  const half = Math.max(5000, ((to - from) / 2) * factor);
  setWindow({ from: middle - half, to: Math.min(middle + half, Math.max(Date.now(), to)) });
}

export function toggleLive(): void {
  if (!isRelative.value) {
    setLast(DEFAULT_FROM);
    return;
  }
  const pausing = live.value;
  // A pause freezes the window at what is shown.
  set({ live: pausing ? '0' : '' });
  if (!pausing) refresh();
}

/* Filters: `f=service:shop,level:error`. */

export interface Filter {
  key: string;
  value: string;
}
/** What a person changed in the address may be no escape. */
function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function parseFilters(text: string): Filter[] {
  const pairs = text.split(',').filter((pair) => pair.includes(':'));
  const filters = pairs.map((pair) => ({ key: pair.slice(0, pair.indexOf(':')), value: unescape(pair.slice(pair.indexOf(':') + 1)) }));
  return filters.filter(({ key, value }) => key !== '' && value !== '');
}
export const writeFilters = (list: Filter[]): string =>
  list.map(({ key, value }) => `${key}:${value.replace(/[%,:]/g, encodeURIComponent)}`).join(',');

export const filters = computed(() => parseFilters(route.value.q.f ?? ''));
export const filterOf = (key: string): string | undefined => filters.value.find((filter) => filter.key === key)?.value;

/** One filter for each key. */
export function setFilter(key: string, value: string): void {
  const others = filters.value.filter((filter) => filter.key !== key);
  set({ f: writeFilters(value === '' ? others : [...others, { key, value }]) });
}

/** The service that screens are bound to, if one was chosen. */
export const service = computed(() => filterOf('service') ?? '');

/* Language and theme */

export type ThemeChoice = 'dark' | 'light' | 'system';
const system = typeof matchMedia === 'undefined' ? undefined : matchMedia('(prefers-color-scheme: light)');
const systemIsLight = signal(system?.matches ?? false);
const remembered = (key: string) => (typeof localStorage === 'undefined' ? null : localStorage.getItem(`mirador-${key}`));

const looks = signal(0);
export const themeChoice = computed<ThemeChoice>(() => {
  void looks.value;
  const chosen = route.value.q.theme ?? remembered('theme');
  return chosen === 'light' || chosen === 'dark' ? chosen : chosen === 'system' ? 'system' : 'dark';
});
/** Which colours are on: canvases paint anew when it changes. */
export const theme = computed<'dark' | 'light'>(() =>
  themeChoice.value === 'system' ? (systemIsLight.value ? 'light' : 'dark') : themeChoice.value,
);

function choose(key: 'lang' | 'theme', value: string): void {
  localStorage.setItem(`mirador-${key}`, value);
  set({ [key]: '' }, true);
  applyLooks();
}
const chosenLang = (): Lang => {
  const text = route.value.q.lang ?? remembered('lang') ?? navigator.language;
  return text.startsWith('en') ? 'en' : text.startsWith('ko') ? 'ko' : 'en';
};
const applyLooks = () => void (looks.value += 1);

export const setLang = (value: Lang): void => choose('lang', value);
export const setTheme = (value: ThemeChoice): void => choose('theme', value);

/** Puts language and theme on the page, and lets the clock run while LIVE. */
export function startView(): void {
  system?.addEventListener('change', (event) => (systemIsLight.value = event.matches));
  effect(() => {
    void looks.value;
    lang.value = chosenLang();
    document.documentElement.lang = lang.value;
    document.documentElement.dataset.theme = theme.value;
  });
  setInterval(() => {
    if (live.value && !document.hidden) refresh();
  }, LIVE_MS);
}
