// The doors of the screen of explanations: what is selected, as an address. Its window is absolute, so that the link
// shows the same later.
import { follow, href } from './url';
import { filterOf, writeFilters } from './view';
import { w } from './ui.words';

export interface Selected {
  from: number;
  to: number;
  /** Without one, that of the filter, or all. */
  service?: string | undefined;
  /** A TraceQL filter of the spans that are meant. */
  q?: string | undefined;
}

/** What an alert or a service tells began a little before it was told. */
export const LEAD_MS = 120_000;

const inside = (filter: string) => /^\{([^{}]*)\}$/.exec(filter.trim())?.[1]?.trim();

/** Spans of these durations, or longer ones, among those of a filter. A query that is more than one filter can't be narrowed, and is left out. */
export function durationFilter(ms0: number, ms1 = Infinity, filter = ''): string {
  const atMost = Number.isFinite(ms1) ? ` && duration <= ${Math.ceil(ms1)}ms` : '';
  const durations = `duration >= ${Math.max(0, Math.floor(ms0))}ms${atMost}`;
  const condition = inside(filter);
  return condition ? `{ (${condition}) && ${durations} }` : `{ ${durations} }`;
}

export function whyHref({ from, to, service = filterOf('service'), q }: Selected): string {
  const f = service ? writeFilters([{ key: 'service', value: service }]) : '';
  return href('explain', { from: String(Math.floor(from)), to: String(Math.ceil(to)), live: '', f, q: q ?? '' });
}

/** `primary` where it is the first thing to do. Rows that open something else are not opened by it. */
export function WhyLink({ primary = false, ...selected }: Selected & { primary?: boolean }) {
  const onClick = (event: MouseEvent) => {
    follow(event);
    event.stopPropagation();
  };
  return (
    <a class={primary ? 'btn primary' : 'btn small'} data-why="" href={whyHref(selected)} title={w.whyTitle()} onClick={onClick}>
      {w.why()}
    </a>
  );
}
