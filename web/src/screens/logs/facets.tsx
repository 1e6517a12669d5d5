// Values by which lines can be narrowed: a click includes, − excludes, again takes it back.
import { format, Panel, route, set, useState, type ComponentChildren, type Loaded } from '../../core';
import { LEVELS, type Facet, type Volume } from './data';
import { parseTerms, toggleTerm } from './query';
import { w } from './words';

const SHOWN = 6;

export function toggle(key: string, value: string, not: boolean): void {
  set({ q: toggleTerm(route.value.q.q ?? '', { key, value, not }), row: '' });
}

export function Facets({ facets, volume }: { facets: Loaded<Facet[]>; volume: Volume | undefined }) {
  const levels = LEVELS.map((level): [string, number] => [level, volume?.totals[level] ?? 0]).filter(([, count]) => count > 0);
  return (
    <aside class="facets" aria-label={w.facets()}>
      {levels.length > 0 && <One title={w.level()} name="level" values={levels} mark={(level) => <span class={`lv ${level}`} />} />}
      <Panel of={facets}>{(all) => all.map(({ key, values }) => <One key={key} title={key} name={key} values={values} />)}</Panel>
    </aside>
  );
}

function One({ title, name, values, mark }: { title: string; name: string; values: [string, number][]; mark?: (value: string) => ComponentChildren }) {
  const [all, setAll] = useState(false);
  const terms = parseTerms(route.value.q.q ?? '').filter((term) => term.key === name);
  const most = Math.max(1, ...values.map(([, count]) => count));
  const shown = all ? values : values.slice(0, SHOWN);
  return (
    <section>
      <h2 class="facet-name">
        {title}
        <span class="count">{values.length}</span>
      </h2>
      {shown.map(([value, count]) => {
        const term = terms.find((one) => one.value === value);
        return (
          <div key={value} class={`facet ${term ? (term.not ? 'off' : 'on') : ''}`}>
            <button type="button" class="pick" aria-pressed={term !== undefined && !term.not} title={value} onClick={() => toggle(name, value, false)}>
              {mark?.(value)}
              <span class="clip">{value}</span>
            </button>
            <span class="num">{format.si(count)}</span>
            <button type="button" class="not" title={w.exclude()} aria-label={`${w.exclude()} ${value}`} onClick={() => toggle(name, value, true)}>
              −
            </button>
            <i style={{ width: `${(100 * count) / most}%` }} />
          </div>
        );
      })}
      {values.length > SHOWN && (
        <button type="button" class="more" onClick={() => setAll(!all)}>
          {all ? w.lessValues() : w.moreValues({ n: values.length - SHOWN })}
        </button>
      )}
    </section>
  );
}
