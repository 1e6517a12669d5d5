// The screens, in the order of the rail: their keys, and which filters they obey.
import type { IconName } from '../core/icons';
import { w } from './words';

export interface Place {
  screen: string;
  key: string;
  icon: IconName;
  title: () => string;
  /** Filters that the screen obeys; others are shown struck through. `*`: any. */
  filters: string[];
}

const PLACES: Place[] = [
  { screen: 'home', key: 'h', icon: 'home', title: w.home, filters: [] },
  { screen: 'services', key: 's', icon: 'services', title: w.services, filters: [] },
  { screen: 'logs', key: 'l', icon: 'logs', title: w.logs, filters: ['*'] },
  { screen: 'traces', key: 't', icon: 'traces', title: w.traces, filters: ['service'] },
  { screen: 'metrics', key: 'x', icon: 'metrics', title: w.metrics, filters: [] },
  { screen: 'explain', key: 'e', icon: 'explain', title: w.explain, filters: ['service'] },
  { screen: 'alerts', key: 'n', icon: 'alerts', title: w.alerts, filters: [] },
  { screen: 'admin', key: ',', icon: 'admin', title: w.admin, filters: [] },
];

/** Addresses of the screens' modules, as the page names them. */
export const modules: Record<string, string> = JSON.parse(
  document.querySelector<HTMLMetaElement>('meta[name=mirador-screens]')?.content || '{}',
) as Record<string, string>;

/** What is not built is not shown. */
export const places: Place[] = PLACES.filter(({ screen }) => modules[screen]);
export const FIRST: string = places[0]?.screen ?? 'traces';

/** A trace belongs to the screen of traces. */
export const placeOf = (screen: string): Place | undefined => places.find((place) => place.screen === (screen === 'trace' ? 'traces' : screen));
