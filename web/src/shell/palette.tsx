// ⌘K: screens, services, metrics by name; a trace by its id; anything else as words to find in logs.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Icon, type IconName } from '../core/icons';
import { closeAll, open } from '../core/overlays';
import { Keys } from '../core/parts';
import { href, url } from '../core/index';
import { writeFilters } from '../core/view';
import { metricNames, serviceNames } from './lists';
import { modules, places } from './nav';
import { w } from './words';

interface Hit {
  icon: IconName;
  text: string;
  note: string;
  href: string;
  /** What it is found by. */
  words: string;
}

const TRACE_ID = /^[0-9a-f]{16,32}$/i;
const HITS_MAX = 10;

export function openPalette(): void {
  open(() => <Palette />, { modal: true });
}

const ofService = (name: string): Hit => ({
  icon: 'services',
  text: name,
  note: w.service(),
  href: href('traces', { f: writeFilters([{ key: 'service', value: name }]) }),
  words: name.toLowerCase(),
});
const ofMetric = (name: string): Hit => ({ icon: 'metrics', text: name, note: w.metric(), href: href('metrics', { m: name }), words: name.toLowerCase() });

function find(text: string, named: Hit[]): Hit[] {
  const query = text.trim();
  const all = places.map(({ screen, key, icon, title }): Hit => ({ icon, text: title(), note: w.screen({ key }), href: href(screen), words: `${screen} ${title()}`.toLowerCase() }));
  const parts = query.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = [...all, ...named].filter((hit) => parts.every((part) => hit.words.includes(part))).slice(0, HITS_MAX);
  if (TRACE_ID.test(query)) hits.unshift({ icon: 'traces', text: query, note: w.openTrace(), href: href('trace', { id: query.toLowerCase() }), words: '' });
  if (query && modules.logs) hits.push({ icon: 'logs', text: query, note: w.inLogs(), href: href('logs', { q: TRACE_ID.test(query) ? `trace_id:${query}` : query }), words: '' });
  return hits;
}

function Palette() {
  const [text, setText] = useState('');
  const [named, setNamed] = useState<Hit[]>([]);
  const [at, setAt] = useState(0);
  useEffect(() => {
    const services = modules.traces ? serviceNames() : Promise.resolve([]);
    const metrics = modules.metrics ? metricNames() : Promise.resolve([]);
    services.then((names) => setNamed((old) => [...names.map(ofService), ...old])).catch(() => {});
    metrics.then((names) => setNamed((old) => [...old, ...names.map(ofMetric)])).catch(() => {});
  }, []);
  const hits = useMemo(() => find(text, named), [text, named]);
  const chosen = Math.min(at, hits.length - 1);
  const onKey = (event: KeyboardEvent) => {
    // The Enter that ends a syllable of an input method is no choice.
    if (event.isComposing) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      setAt(Math.max(0, Math.min(hits.length - 1, chosen + by)));
      event.preventDefault();
    } else if (event.key === 'Enter' && hits[chosen]) {
      closeAll();
      follow(hits[chosen].href);
    }
  };
  return (
    <div class="palette" role="dialog" aria-label={w.find()}>
      <div class="field">
        <Icon name="search" />
        <input
          data-focus role="combobox" aria-expanded="true" aria-controls="palette-list" aria-activedescendant={hits.length ? `hit-${chosen}` : undefined}
          placeholder={w.placeholder()} aria-label={w.find()} value={text} onKeyDown={onKey}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setAt(0);
          }}
        />
        <kbd>esc</kbd>
      </div>
      <div class="list" role="listbox" id="palette-list" aria-label={w.find()}>
        {hits.map((hit, i) => (
          <a key={hit.href} id={`hit-${i}`} role="option" aria-selected={i === chosen} tabIndex={-1} href={hit.href} onClick={() => closeAll()}>
            <Icon name={hit.icon} />
            <span>{hit.text}</span>
            <small>{hit.note}</small>
          </a>
        ))}
      </div>
      {hits.length === 0 && <p class="hint">{w.nothingFound()}</p>}
      <footer>
        <Keys keys="↑ ↓" /> {w.choose()} <Keys keys="↵" /> {w.openIt()} <Keys keys="?" /> {w.shortcuts()}
      </footer>
    </div>
  );
}

function follow(address: string): void {
  const { pathname, search } = new URL(address, location.href);
  const { screen, q } = url.parseRoute(pathname, search);
  url.go(screen, q);
}
