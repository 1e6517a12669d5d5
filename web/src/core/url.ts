// The router. The URL is the only state of a view: /ui/<screen>?key=value, one segment below the folder that
// the page was served from, so that relative paths hold behind any proxy.
import { signal } from '@preact/signals';

export interface Route {
  screen: string;
  q: Record<string, string>;
}

/** Kept from screen to screen: the window, filters, and how things look. */
const TRAVEL = ['from', 'to', 'live', 'f', 'lang', 'theme'] as const;
export const HOME = 'home';

export function parseRoute(pathname: string, search: string): Route {
  const screen = decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1)) || HOME;
  return { screen, q: Object.fromEntries(new URLSearchParams(search)) };
}

/** Keys in a fixed order, empty values left out, so that one view has one URL. */
export function writeRoute({ screen, q }: Route): string {
  const pairs = Object.entries(q).filter(([, value]) => value !== '');
  const rank = (key: string) => TRAVEL.indexOf(key as (typeof TRAVEL)[number]) + 1 || 99;
  pairs.sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const search = new URLSearchParams(pairs).toString();
  return `./${screen === HOME ? '' : encodeURIComponent(screen)}${search && `?${search}`}`;
}

export const route = signal<Route>({ screen: HOME, q: {} });

const traveling = (q: Record<string, string>) => Object.fromEntries(TRAVEL.filter((key) => q[key]).map((key) => [key, q[key]!]));

/** The address of another screen that shows the same window and filters. */
export function href(screen: string, q: Record<string, string> = {}): string {
  return writeRoute({ screen, q: { ...traveling(route.value.q), ...q } });
}

export function go(screen: string, q: Record<string, string> = {}, replace = false): void {
  show(href(screen, q), replace);
}

/** Changes what is shown on this screen; an empty value removes a key. */
export function set(patch: Record<string, string>, replace = false): void {
  const { screen, q } = route.value;
  show(writeRoute({ screen, q: { ...q, ...patch } }), replace);
}

/** Shows an address of this page. */
export function show(url: string, replace = false): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', new URL(url, location.href));
  readLocation();
}

export function readLocation(): void {
  route.value = parseRoute(location.pathname, location.search);
}

/** Links within the folder of the page change the view without loading it anew. */
export function follow(event: MouseEvent): void {
  const link = (event.target as Element).closest?.('a[href]');
  if (!(link instanceof HTMLAnchorElement) || link.target || link.download) return;
  if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.defaultPrevented) return;
  const folder = new URL('.', location.href).href;
  const rest = link.href.startsWith(folder) ? link.href.slice(folder.length) : '/';
  if (rest.split('?')[0]!.includes('/')) return;
  event.preventDefault();
  show(link.href, link.href === location.href);
}

export function startRouter(): void {
  addEventListener('popstate', readLocation);
  document.addEventListener('click', follow);
  readLocation();
}
