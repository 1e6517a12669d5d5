// One metric: its chart, split by a label if wanted; its labels; traces that are examples of it.
import { Empty, format, href, LineChart, menuAt, Panel, range, route, Section, set, setWindow, Table, useLoad, type Brush, type Labels } from '../../core';
import { autoQuery, nearNames, seriesName, type Family } from './auto';
import { exemplars, graph, linesOf, rateSeconds, seriesOf, stepOf } from './data';
import { w } from './words';

export function OneMetric({ name, families }: { name: string; families: Family[] }) {
  const family = families.find((one) => one.name === name) ?? families.find((one) => name.startsWith(one.name) && seriesName(one).startsWith(one.name) && /^_(bucket|sum|count)$/.test(name.slice(one.name.length)));
  if (!family) {
    return (
      <Empty title={w.filtered()} why={w.near()}>
        {nearNames(name, families.map((one) => one.name)).map((near) => <a key={near} class="link" href={href('metrics', { m: near })}><code>{near}</code></a>)}
      </Empty>
    );
  }
  return <Shown family={family} />;
}

function Shown({ family }: { family: Family }) {
  const { q } = route.value;
  const window = range.value;
  const step = stepOf(window, 120);
  const by = q.by ?? '';
  const query = autoQuery(family, rateSeconds(step), by);
  const slot = `${Math.floor(window.to / 10_000)} ${window.to - window.from}`;
  const lines = useLoad(`one ${query} ${slot}`, (signal) => graph(query, window, step, signal));
  const labels = useLoad(`series ${family.name} ${Math.floor(window.to / 60_000)} ${window.to - window.from}`, (signal) => seriesOf(seriesName(family), window, signal));
  const unit = format.unitOf(family.kind === 'counter' ? '' : family.name);
  const onBrush = (brush: Brush, at: { x: number; y: number }) => {
    const around = { from: String(Math.round(brush.t0)), to: String(Math.round(brush.t1)) };
    menuAt(at.x, at.y, [{ text: w.zoom(), act: () => setWindow({ from: brush.t0, to: brush.t1 }) }, { text: w.traces(), href: href('traces', around) }, { text: w.logs(), href: href('logs', around) }]);
  };
  return (
    <div class="cols metricone">
      <div>
        <div class="line onehead">
          <a class="link" href={href('metrics')}>{w.back()}</a>
          <code class="strong clip">{family.name}</code>
          <span class="tag">{w[family.kind]()}</span>
          <div class="grow" />
          <a class="btn small" href={href('metrics', { tab: 'query', expr: query })}>{w.openQuery()}</a>
        </div>
        {family.help && <p class="dim">{family.help}</p>}
        <p class="hint"><code>{query}</code></p>
        <Panel of={lines} height={260}>
          {(series) => <LineChart title={by || family.name} lines={linesOf(series, true)} from={window.from} to={window.to} step={step} height={260} unit={unit} onBrush={onBrush} />}
        </Panel>
        {by && <Panel of={lines}>{(series) => <Values lines={linesOf(series, true)} unit={unit} />}</Panel>}
        {family.kind === 'histogram' && <Exemplars family={family} unit={unit} />}
      </div>
      <Panel of={labels}>{(all) => <LabelList all={all} by={by} />}</Panel>
    </div>
  );
}

const SHOWN = 50;
function Values({ lines, unit }: { lines: ReturnType<typeof linesOf>; unit: format.Unit }) {
  const last = (line: (typeof lines)[number]) => line.points.at(-1)?.[1] ?? Number.NaN;
  const rows = [...lines].sort((a, b) => (last(b) || 0) - (last(a) || 0)).slice(0, SHOWN);
  return (
    <Table
      label={w.series()} rows={rows} rowKey={(line) => line.name}
      columns={[{ head: w.series(), class: 'clip', cell: (line) => <code>{line.name || '–'}</code> }, { head: w.value(), class: 'num', sort: true, cell: (line) => <b>{unit(last(line))}</b> }]}
    />
  );
}

function LabelList({ all, by }: { all: Labels[]; by: string }) {
  const values = new Map<string, Map<string, number>>();
  for (const labels of all) {
    for (const [key, value] of Object.entries(labels)) {
      if (key === '__name__' || key === 'le') continue;
      const counts = values.get(key) ?? new Map<string, number>();
      counts.set(value, (counts.get(value) ?? 0) + 1);
      values.set(key, counts);
    }
  }
  const names = [...values].sort((a, b) => b[1].size - a[1].size);
  return (
    <aside class="labels">
      <Section title={w.split()} right={<span>{w.series()} {format.int(all.length)}{all.length >= 1000 && '+'}</span>}>
        <div class="stack splits">
          <button type="button" class="btn small" aria-pressed={by === ''} onClick={() => set({ by: '' })}>{w.whole()}</button>
          {names.map(([name, counts]) => (
            <button key={name} type="button" class="btn small" aria-pressed={by === name} onClick={() => set({ by: by === name ? '' : name })} title={[...counts.keys()].slice(0, 20).join('\n')}>
              <code class="clip">{name}</code>
              <span class="count">{counts.size}</span>
            </button>
          ))}
        </div>
      </Section>
    </aside>
  );
}

function Exemplars({ family, unit }: { family: Family; unit: format.Unit }) {
  const window = range.value;
  const loaded = useLoad(`exemplars ${family.name} ${Math.floor(window.to / 30_000)}`, (signal) => exemplars(seriesName(family), window, signal));
  return (
    <Section title={w.exemplars()}>
      <Panel of={loaded}>
        {(all) => (all.length === 0 ? <p class="hint">{w.noExemplars()}</p> : (
          <Table
            label={w.exemplars()} rows={all.slice(0, 10)} rowKey={(one, i) => one.trace + i}
            columns={[
              { head: w.time(), class: 'nowrap', cell: (one) => <span class="num">{format.milli(one.at)}</span> },
              { head: w.value(), class: 'num', sort: true, cell: (one) => <b>{unit(one.value)}</b> },
              { head: 'Trace ID', class: 'clip', cell: (one) => <a class="link" href={href('trace', { id: one.trace })}><code>{one.trace}</code></a> },
            ]}
          />
        ))}
      </Panel>
    </Section>
  );
}
