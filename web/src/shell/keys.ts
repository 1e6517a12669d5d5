// The keyboard: one table, read where no field has the focus.
import { signal } from '@preact/signals';
import { asTables } from '../core/charts';
import { closeTop, hasLayer, menuAt, open } from '../core/overlays';
import { go, href, route, set, show } from '../core/url';
import { range, shift, toggleLive, writeFilters, zoom } from '../core/view';
import { whyHref } from '../core/why';
import { places } from './nav';
import { openPalette } from './palette';
import { toggleTheme } from './rail';
import { ShortcutSheet } from './sheet';
import { openTime } from './time-pop';
import { copyLink, openFilter } from './topbar';
import { w } from './words';

/** g was pressed: the next key names a screen. */
export const going = signal(false);
let timer: ReturnType<typeof setTimeout> | undefined;

const inField = (target: EventTarget | null) => target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]') !== null;

/** To the next row that can be opened, from the focused one. */
function moveRow(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row]')];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))]?.focus();
}

/** A press on the first thing that answers to it. */
const press = (selector: string) => document.querySelector<HTMLElement>(selector)?.click();

/** Of the focused row, of the first thing of the screen that asks, or of the window and the query of traces. */
function askWhy(): void {
  const row = document.activeElement?.closest('main [data-row]');
  const link = row?.querySelector<HTMLElement>('[data-why]') ?? document.querySelector<HTMLElement>('main [data-why]');
  if (link) link.click();
  else if (route.value.screen !== 'explain') show(whyHref({ ...range.value, q: route.value.screen === 'traces' ? route.value.q.q : '' }));
}

const ACTS: Record<string, () => void> = {
  '?': () => open(ShortcutSheet, { modal: true }),
  '/': () => document.querySelector<HTMLElement>('main [data-query]')?.focus(),
  f: () => openFilter(document.querySelector('#add-filter')!),
  ' ': toggleLive,
  '[': () => shift(-1),
  ']': () => shift(1),
  '-': () => zoom(2),
  '=': () => zoom(0.5),
  '.': () => openTime(document.querySelector('#pick-time')!),
  j: () => moveRow(1),
  k: () => moveRow(-1),
  x: () => press('main [data-row]:focus'),
  y: copyLink,
  e: askWhy,
  m: () => openEntityMenu(document.activeElement),
  V: () => void (asTables.value = !asTables.value),
  T: toggleTheme,
};

function onKey(event: KeyboardEvent): void {
  if (event.isComposing || event.defaultPrevented) return;
  if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    if (!hasLayer()) openPalette();
    return;
  }
  if (event.key === 'Escape') return escape(event);
  if (event.metaKey || event.ctrlKey || event.altKey || inField(event.target) || hasLayer()) return;
  if (event.key === ' ' && event.target instanceof HTMLElement && event.target.closest('button, a, [role=application]')) return;
  if (going.value) {
    stopGoing();
    const place = places.find(({ key }) => key === event.key);
    if (place) {
      event.preventDefault();
      go(place.screen);
    }
    return;
  }
  if (event.key === 'g') {
    going.value = true;
    timer = setTimeout(stopGoing, 1500);
    return;
  }
  const act = ACTS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function stopGoing(): void {
  clearTimeout(timer);
  going.value = false;
}

function escape(event: KeyboardEvent): void {
  if (closeTop()) return event.preventDefault();
  if (inField(event.target)) (event.target as HTMLElement).blur();
  else if (route.value.q.drawer) set({ drawer: '' });
  else if (going.value) stopGoing();
}

/* The menu of what a row, point or tile is about. */

export interface Entity {
  service?: string;
  trace?: string;
  metric?: string;
  name?: string;
  /** Milliseconds; the window is opened around it. */
  at?: number;
}
const AROUND_MS = 120_000;

/** Of the element, what it lies in, or the row that it is part of. */
function entityOf(element: Element | null): Entity | undefined {
  const own = element?.closest<HTMLElement>('[data-entity]') ?? element?.closest('[data-row]')?.querySelector<HTMLElement>('[data-entity]');
  const text = own?.dataset.entity;
  return text ? (JSON.parse(text) as Entity) : undefined;
}

function openEntityMenu(element: Element | null): void {
  const entity = entityOf(element);
  const box = element?.getBoundingClientRect();
  if (entity && box) menuFor(entity, box.left + 40, box.bottom);
}

function menuFor({ service, trace, metric, name, at }: Entity, x: number, y: number): void {
  const around: Record<string, string> = at === undefined ? {} : { from: String(Math.round(at - AROUND_MS)), to: String(Math.round(Math.min(at + AROUND_MS, Math.max(range.value.to, at + 1000)))) };
  const f: Record<string, string> = service ? { f: writeFilters([{ key: 'service', value: service }]) } : {};
  const items = [
    ...(trace ? [{ text: w.openTrace(), note: trace.slice(0, 8), href: href('trace', { id: trace }) }] : []),
    ...(service ? [{ text: w.lookUp(), note: service, href: href(route.value.screen, { ...route.value.q, drawer: `service:${service}` }) }] : []),
    ...(service ? [{ text: w.traces(), note: service, href: href('traces', { ...around, ...f }) }] : []),
    ...(trace ? [{ text: w.logs(), note: 'trace_id', href: href('logs', { ...around, q: `trace_id:${trace}` }) }] : service ? [{ text: w.logs(), note: service, href: href('logs', { ...around, ...f }) }] : []),
    ...(metric ? [{ text: w.metrics(), note: metric, href: href('metrics', { ...around, m: metric }) }] : []),
    { text: w.copyLink(), note: 'y', act: copyLink },
  ];
  menuAt(x, y, items, name ?? service ?? trace ?? metric);
}

export function startKeys(): void {
  addEventListener('keydown', onKey);
  addEventListener('contextmenu', (event) => {
    const entity = entityOf(event.target as Element);
    if (!entity || event.shiftKey) return;
    event.preventDefault();
    menuFor(entity, event.clientX, event.clientY);
  });
}
