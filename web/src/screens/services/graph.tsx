// The service map: layers from the left, and its twin in numbers.
import { Criterion, Empty, format, Glyph, layersOf, onEnter, Panel, range, route, Section, set, Table, useLoad } from '../../core';
import { isBad, loadGraph, type Call, type Graph } from './graph-data';
import { w } from './words';

const [WIDE, TALL, GAP_X, GAP_Y] = [168, 58, 92, 24];
const LETTERS = 20;
const short = (text: string) => (text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text);

export function ServiceMap() {
  const { from, to } = range.value;
  const loaded = useLoad(`graph ${Math.floor(to / 15_000)} ${to - from}`, (signal) => loadGraph({ from, to }, signal));
  return <Panel of={loaded} height={420}>{(graph) => (graph.calls.length === 0 ? <Empty title={w.noCallsMap()} /> : <Drawn graph={graph} />)}</Panel>;
}

interface Place {
  x: number;
  y: number;
}

function place(graph: Graph): Place[] {
  const at = (name: string) => graph.names.indexOf(name);
  const layers = layersOf(graph.names.length, graph.calls.map((call) => at(call.client)), graph.calls.map((call) => at(call.server)));
  const columns: number[][] = [];
  layers.forEach((layer, i) => (columns[layer] ??= []).push(i));
  const tallest = Math.max(...columns.map((column) => column.length));
  const places: Place[] = [];
  columns.forEach((column, layer) =>
    column.forEach((node, row) => {
      places[node] = { x: layer * (WIDE + GAP_X), y: (row + (tallest - column.length) / 2) * (TALL + GAP_Y) };
    }),
  );
  return places;
}

function Drawn({ graph }: { graph: Graph }) {
  const focus = route.value.q.focus ?? '';
  const places = place(graph);
  const at = (name: string) => places[graph.names.indexOf(name)]!;
  const width = Math.max(...places.map(({ x }) => x)) + WIDE + 4;
  const height = Math.max(...places.map(({ y }) => y)) + TALL + 44;
  const near = (call: Call) => !focus || call.client === focus || call.server === focus;
  const isNear = (name: string) => !focus || name === focus || graph.calls.some((call) => near(call) && (call.client === name || call.server === name));
  return (
    <>
      <div class="smapbox">
        <svg class="smap" width={width} style={{ minWidth: `${width * 0.75}px` }} viewBox={`-2 -12 ${width} ${height}`} role="group" aria-label={w.mapLabel({ n: graph.names.length, m: graph.calls.length })}>
          {graph.calls.map((call, i) => (
            <Arrow key={i} call={call} from={at(call.client)} to={at(call.server)} faded={!near(call)} />
          ))}
          {graph.names.map((name) => (
            <Node key={name} name={name} graph={graph} place={at(name)} faded={!isNear(name)} focus={focus} />
          ))}
        </svg>
      </div>
      <Criterion name={w.reading()}>{w.mapText()}</Criterion>
      <Section title={w.calls()} right={focus ? <button type="button" class="btn small" onClick={() => set({ focus: '' })}>{w.everything()}</button> : w.callsNote({ n: graph.calls.length })}>
        <Calls calls={graph.calls.filter(near)} />
      </Section>
    </>
  );
}

function Arrow({ call, from, to, faded }: { call: Call; from: Place; to: Place; faded: boolean }) {
  const bad = isBad(call);
  const back = to.x <= from.x;
  const far = to.x - from.x > WIDE + GAP_X + 1;
  const [x0, y0, x1, y1] = [from.x + WIDE, from.y + TALL / 2, to.x - 3, to.y + TALL / 2];
  const bend = back ? 60 : far ? GAP_X : (x1 - x0) / 2;
  // What leads back, or over other layers, goes around the nodes.
  const lift = back ? -TALL : far ? TALL * 0.9 : 0;
  const stroke = bad ? 'var(--crit)' : 'var(--text-3)';
  const path = `M${x0} ${y0}C${x0 + bend} ${y0 + lift} ${x1 - bend} ${y1 + lift} ${x1} ${y1}`;
  const label = lift === 0 ? { x: x1 - 10, y: y1 - 8 } : { x: (x0 + x1) / 2, y: (y0 + y1) / 2 + lift * 0.75 + 14 };
  return (
    <g opacity={faded ? 0.2 : 1}>
      <path d={path} fill="none" stroke={stroke} stroke-width={bad ? 2.5 : Math.min(3, Math.max(1, Math.sqrt(call.rate) / 3))} />
      <path d={`M${x1 - 6} ${y1 - 4}l7 4-7 4`} fill="none" stroke={stroke} stroke-width={1.5} />
      <text x={label.x} y={label.y} class={bad ? 'sv hot' : 'sv'} text-anchor={lift === 0 ? 'end' : 'middle'}>
        {bad && '■ '}
        {Number.isFinite(call.p95) ? format.duration(call.p95) : ''}
      </text>
    </g>
  );
}

function Node({ name, graph, place: { x, y }, faded, focus }: { name: string; graph: Graph; place: Place; faded: boolean; focus: string }) {
  const coming = graph.calls.filter((call) => call.server === name);
  const kind = graph.kinds.get(name);
  const bad = coming.some(isBad);
  const rate = (coming.length > 0 ? coming : graph.calls.filter((call) => call.client === name)).reduce((sum, call) => sum + call.rate, 0);
  const p95 = Math.max(...coming.map((call) => call.p95).filter(Number.isFinite), -Infinity);
  const stroke = { fill: 'var(--surface)', stroke: bad ? 'var(--crit)' : 'var(--line-strong)', 'stroke-width': bad ? 2 : 1 };
  const pick = () => set({ focus: focus === name ? '' : name }, true);
  const figures = `${w.perSecond({ n: format.si(rate) })}${Number.isFinite(p95) ? ` · p95 ${format.duration(p95)}` : ''}`;
  const entity = kind === undefined ? JSON.stringify({ service: name }) : undefined;
  return (
    <g class="snode" role="button" tabIndex={0} aria-pressed={focus === name} data-entity={entity} opacity={faded ? 0.3 : 1} transform={`translate(${x} ${y})`} onClick={pick} onKeyDown={onEnter(pick)}>
      {kind === 'stored' ? (
        <path d={`M0 8C0 -3 ${WIDE} -3 ${WIDE} 8V${TALL - 6}C${WIDE} ${TALL + 5} 0 ${TALL + 5} 0 ${TALL - 6}ZM0 8C0 19 ${WIDE} 19 ${WIDE} 8`} {...stroke} />
      ) : (
        <rect width={WIDE} height={TALL} {...stroke} stroke-dasharray={kind === 'outside' ? '4 3' : undefined} />
      )}
      <text x={11} y={kind === 'stored' ? 34 : 24} class="st">{bad && '■ '}{short(name)}</text>
      <text x={11} y={kind === 'stored' ? 51 : 43} class="sv">{figures}</text>
    </g>
  );
}

function Calls({ calls }: { calls: Call[] }) {
  const rows = [...calls].sort((a, b) => (b.p95 || 0) - (a.p95 || 0));
  return (
    <Table
      label={w.calls()} rows={rows} rowKey={(call) => `${call.client} ${call.server} ${call.kind}`} onRow={(call) => set({ focus: call.server }, true)}
      columns={[
        { head: '', cell: (call) => <Glyph state={isBad(call) ? 'crit' : 'ok'} /> },
        { head: w.caller(), class: 'clip', cell: (call) => <><b class="strong">{call.client}</b> → <b class="strong">{call.server}</b></> },
        { head: w.kind(), class: 'nowrap', cell: (call) => <span class="faint">{call.kind || '–'}</span> },
        { head: w.rate(), class: 'num', cell: (call) => format.si(call.rate) },
        { head: w.errors(), class: 'num', cell: (call) => <span class={call.errors >= 5 ? 't-crit' : ''}>{format.percent(call.errors)}</span> },
        { head: 'p95', class: 'num', sort: true, cell: (call) => <b class={call.p95 >= 8000 ? 't-crit' : ''}>{format.duration(call.p95)}</b> },
      ]}
    />
  );
}
