// The top bar: filters, the window, LIVE, the link, the palette.
import { useEffect, useState } from 'preact/hooks';
import { lang } from '../core/i18n';
import * as format from '../core/format';
import { Icon } from '../core/icons';
import { closeTop, openAt } from '../core/overlays';
import { copy, IconButton } from '../core/parts';
import { route, writeRoute } from '../core/url';
import { filters, isRelative, live, range, setFilter, shift, toggleLive, zoom, type Filter } from '../core/view';
import { serviceNames } from './lists';
import { placeOf } from './nav';
import { openPalette } from './palette';
import { openTime } from './time-pop';
import { w } from './words';

export function TopBar() {
  return (
    <header class="top">
      <div class="chips">
        {filters.value.map((filter) => (
          <Chip key={filter.key} filter={filter} />
        ))}
        <button type="button" id="add-filter" class="btn ghost" title={w.addFilter()} onClick={(event) => openFilter(event.currentTarget)}>
          + {w.filter()}
        </button>
      </div>
      <div class="grow" />
      <TimeControl />
      <IconButton icon="share" title={w.share()} onClick={copyLink} />
      <button type="button" class="btn find" title="⌘K" onClick={() => openPalette()}>
        <Icon name="search" />
        <span>{w.find()}</span>
        <kbd>⌘K</kbd>
      </button>
    </header>
  );
}

function Chip({ filter }: { filter: Filter }) {
  const obeyed = placeOf(route.value.screen)?.filters ?? [];
  const used = obeyed.includes('*') || obeyed.includes(filter.key);
  return (
    <span class={used ? 'chip' : 'chip off'} title={used ? undefined : w.unusedFilter()}>
      <span>
        {filter.key} = {filter.value}
      </span>
      <button type="button" aria-label={w.removeFilter({ key: filter.key })} onClick={() => setFilter(filter.key, '')}>
        ✕
      </button>
    </span>
  );
}

function TimeControl() {
  const { from, to } = range.value;
  const sameDay = format.date(from) === format.date(to);
  const ends = to - from > 2 * 86_400_000 || !sameDay ? [format.stamp(from).slice(5, 16), format.stamp(to).slice(5, 16)] : [format.time(from), format.time(to)];
  return (
    <div class="timectl" role="group" aria-label={w.time()}>
      <button type="button" title={w.earlier()} aria-label={w.earlier()} onClick={() => shift(-1)}>
        <Icon name="left" />
      </button>
      <button type="button" id="pick-time" class="range" title={w.pickTime()} onClick={(event) => openTime(event.currentTarget)}>
        <b>{isRelative.value ? w.last({ span: format.span(to - from) }) : format.span(to - from)}</b>
        <span class="num">
          {ends[0]} – {ends[1]}
        </span>
      </button>
      <button type="button" title={w.later()} aria-label={w.later()} onClick={() => shift(1)}>
        <Icon name="right" />
      </button>
      <button type="button" title={w.zoomOut()} aria-label={w.zoomOut()} onClick={() => zoom(2)}>
        <Icon name="zoomOut" />
      </button>
      <button type="button" class="live" aria-pressed={live.value} title={w.live()} onClick={toggleLive}>
        <i />
        {live.value ? 'LIVE' : w.paused()}
      </button>
    </div>
  );
}

/** A link that shows the same to somebody who opens it later. */
export function copyLink(): void {
  const { screen, q } = route.value;
  const { from, to } = range.value;
  const fixed = { ...q, from: String(Math.round(from)), to: String(Math.round(to)), live: '', lang: lang.value };
  void copy(new URL(writeRoute({ screen, q: fixed }), location.href).href);
}

export function openFilter(anchor: Element): void {
  openAt(anchor, () => <FilterBox />);
}

function FilterBox() {
  const [names, setNames] = useState<string[] | undefined>(undefined);
  const [text, setText] = useState('');
  useEffect(() => {
    serviceNames().then(setNames, () => setNames([]));
  }, []);
  const take = (key: string, value: string) => {
    closeTop();
    setFilter(key, value);
  };
  const onKey = (event: KeyboardEvent) => {
    const at = text.indexOf(':');
    if (event.key === 'Enter' && !event.isComposing && at > 0) take(text.slice(0, at).trim(), text.slice(at + 1).trim());
  };
  const shown = (names ?? []).filter((name) => !text || `service:${name}`.includes(text)).slice(0, 12);
  return (
    <div class="pop" role="dialog" aria-label={w.addFilter()}>
      <input class="input mono" data-focus placeholder={w.filterHow()} aria-label={w.filterHow()} value={text} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={onKey} />
      {shown.map((name) => (
        <button key={name} type="button" onClick={() => take('service', name)}>
          <span>service = {name}</span>
        </button>
      ))}
      {names?.length === 0 && <p class="hint">{w.noServices()}</p>}
    </div>
  );
}
