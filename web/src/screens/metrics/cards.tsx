// Cards of all metrics, in an order that never changes, each with a query by its type. A card asks when it is in sight.
import { Empty, format, href, LineChart, Panel, range, route, set, useEffect, useLoad, useRef, useState, type Loaded } from '../../core';
import { autoQuery, nearNames, type Family } from './auto';
import { graph, linesOf, rateSeconds, stepOf } from './data';
import { w } from './words';

const PAGE = 24;

export function Cards({ families }: { families: Loaded<Family[]> }) {
  return <Panel of={families} height={400}>{(all) => (all.length === 0 ? <Empty title={w.none()} why={w.noneWhy()} /> : <Browser all={all} />)}</Panel>;
}

const prefixOf = (name: string) => `${name.split(/[_:]/)[0]}`;

function Browser({ all }: { all: Family[] }) {
  const { q } = route.value;
  const [shown, setShown] = useState(PAGE);
  const find = (q.find ?? '').toLowerCase();
  const prefix = q.prefix ?? '';
  useEffect(() => setShown(PAGE), [find, prefix]);
  const matching = all.filter(({ name, help }) => find.split(/\s+/).every((part) => `${name} ${help}`.toLowerCase().includes(part)));
  const list = matching.filter(({ name }) => !prefix || prefixOf(name) === prefix);
  return (
    <div class="cols metriccols">
      <Prefixes families={matching} chosen={prefix} />
      <div>
        <p class="faint">{w.shown({ n: format.int(list.length) })}</p>
        {list.length === 0 && <NoName wanted={find} all={all} />}
        <div class="mcards">
          {list.slice(0, shown).map((family) => (
            <Card key={family.name} family={family} />
          ))}
        </div>
        {list.length > shown && (
          <button type="button" class="btn morecards" onClick={() => setShown(shown + PAGE)}>
            {w.more({ n: Math.min(PAGE, list.length - shown) })}
          </button>
        )}
      </div>
    </div>
  );
}

function Prefixes({ families, chosen }: { families: Family[]; chosen: string }) {
  const counts = new Map<string, number>();
  for (const { name } of families) counts.set(prefixOf(name), (counts.get(prefixOf(name)) ?? 0) + 1);
  const list = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return (
    <aside class="facets" aria-label={w.prefixes()}>
      <section>
        <h2 class="facet-name">
          {w.prefixes()}
          <span class="count">{list.length}</span>
        </h2>
        {list.map(([prefix, count]) => (
          <div key={prefix} class={prefix === chosen ? 'facet on' : 'facet'}>
            <button type="button" class="pick" aria-pressed={prefix === chosen} onClick={() => set({ prefix: prefix === chosen ? '' : prefix })}>
              <span class="clip">{prefix}</span>
            </button>
            <span class="num">{count}</span>
          </div>
        ))}
      </section>
    </aside>
  );
}

function NoName({ wanted, all }: { wanted: string; all: Family[] }) {
  return (
    <Empty title={w.filtered()} why={w.near()}>
      <div class="stack">
        {nearNames(wanted, all.map(({ name }) => name)).map((name) => (
          <a key={name} class="link" href={href('metrics', { m: name })}>
            <code>{name}</code>
          </a>
        ))}
      </div>
      <button type="button" class="btn primary" onClick={() => set({ find: '', prefix: '' })}>{w.clear()}</button>
    </Empty>
  );
}

/** Whether an element has come into sight; it stays so. */
function useSeen() {
  const box = useRef<HTMLAnchorElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && setSeen(true), { rootMargin: '200px' });
    if (box.current) watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return [box, seen] as const;
}

function Card({ family }: { family: Family }) {
  const [box, seen] = useSeen();
  const window = range.value;
  const step = stepOf(window, 60);
  const query = autoQuery(family, rateSeconds(step));
  const loaded = useLoad(seen ? `${query} ${Math.floor(window.to / 15_000)} ${window.to - window.from}` : undefined, (signal) => graph(query, window, step, signal));
  const unit = format.unitOf(family.kind === 'counter' ? '' : family.name);
  return (
    <a ref={box} class="mcard" href={href('metrics', { m: family.name })} data-entity={JSON.stringify({ metric: family.name })}>
      <div class="line">
        <code class="clip" title={family.name}>{family.name}</code>
        <span class="tag">{w[family.kind]()}</span>
      </div>
      <p class="faint clip" title={family.help}>{family.help || '\u00a0'}</p>
      <div class="mplot">
        <Panel of={loaded} height={84}>
          {(series) => <LineChart bare title={family.name} lines={linesOf(series.slice(0, 1))} from={window.from} to={window.to} height={84} axis={false} step={step} unit={unit} />}
        </Panel>
      </div>
      <code class="q clip" title={query}>{query}</code>
    </a>
  );
}
