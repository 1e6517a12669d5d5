// Beside the hitmap: what runs now, and how the rates went.
import { format, Glyph, LineChart, Panel, range, Ring, route, Section, set, useLoad, type Loaded, type State } from '../../core';
import { rates, type ActiveAnswer, type Asked } from './data';
import { w } from './words';

export function Side({ asked, asking, active }: { asked: Asked; asking: string; active: Loaded<ActiveAnswer> }) {
  const loaded = useLoad(`rates ${asking}`, (signal) => rates(asked, signal));
  const { from, to } = range.value;
  return (
    <div class="stack">
      <Section title={w.active()} right={<OpenList />}>
        <Panel of={active}>{(data) => <ActiveBox data={data} />}</Panel>
      </Section>
      <Panel of={loaded} height={160}>
        {({ tps, errors, step }) => (
          <>
            <LineChart title={w.tps()} lines={[{ name: '', points: tps, color: 'ok', fill: true }]} from={from} to={to} step={step} height={64} axis={false} />
            <LineChart title={w.errorRate()} lines={[{ name: '', points: errors, color: 'crit', fill: true }]} from={from} to={to} step={step} height={64} axis={false} unit={format.percent} />
          </>
        )}
      </Panel>
    </div>
  );
}

const toggleList = () => set({ view: route.value.q.view === 'active' ? '' : 'active', sel: '' });
const OpenList = () => (
  <button type="button" class="link" aria-pressed={route.value.q.view === 'active'} onClick={toggleList}>
    {w.list()}
  </button>
);

function ActiveBox({ data }: { data: ActiveAnswer }) {
  const counts: [number, number, number] = [data.normal, data.slow, data.very_slow];
  const lines: [State, string, number][] = [
    ['ok', w.normal3(), data.normal],
    ['warn', w.slow8(), data.slow],
    ['crit', w.very8(), data.very_slow],
  ];
  const inferred = data.inferred?.count ?? 0;
  return (
    <>
      <div class="activebox">
        <Ring counts={counts} caption={w.running()} label={w.runningLabel({ n: data.total, a: data.normal, b: data.slow, c: data.very_slow })} onClick={toggleList} />
        <dl class="kv">
          {lines.map(([state, text, count]) => (
            <div key={state}>
              <dt>
                <Glyph state={state} /> {text}
              </dt>
              <dd class="num strong">{count}</dd>
            </div>
          ))}
        </dl>
      </div>
      {data.total === 0 && <p class="hint">{w.noSignals()}</p>}
      {inferred > 0 && <p class="hint">{w.inferredCount({ n: inferred })}</p>}
    </>
  );
}
