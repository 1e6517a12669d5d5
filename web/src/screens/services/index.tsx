// Services: rate, errors and durations of each; how they call each other; their hitmaps side by side.
import {
  call, Criterion, durationFilter, Empty, format, go, Glyph, Hitmap, href, lastOf, LEAD_MS, LineChart, loadRed, menuAt, Panel, range, route, Section, set, setWindow, sinceOf, SLOW_MS, Spark, Table,
  Tabs, useLoad, whyHref, WhyLink, writeFilters, type Box, type Brush, type Column, type Grid, type Red, type ServiceRed,
} from '../../core';
import { ServiceMap } from './graph';
import { w } from './words';

const HITMAPS_MAX = 12;
const toneOf = (level: ServiceRed['level']) => (level === 'crit' ? 't-crit' : level === 'warn' ? 't-warn' : '');
const colorOf = (level: ServiceRed['level']) => (level === 'wait' ? 'text-3' : level);

const SORTS: Record<string, (a: ServiceRed, b: ServiceRed) => number> = {
  p95: (a, b) => (lastOf(b.p95) || 0) - (lastOf(a.p95) || 0),
  rate: (a, b) => lastOf(b.rate) - lastOf(a.rate),
  errors: (a, b) => lastOf(b.errors) - lastOf(a.errors),
  name: (a, b) => (a.service < b.service ? -1 : 1),
};

export default function Services() {
  const { q } = route.value;
  const { from, to } = range.value;
  const view = q.view ?? 'list';
  const loaded = useLoad(`red ${Math.floor(to / 10_000)} ${to - from}`, (signal) => loadRed({ from, to }, signal));
  const count = loaded.data?.services.length;
  return (
    <>
      <div class="bar">
        <h1>{w.title()}</h1>
        <Tabs
          label={w.view()} value={view} onPick={(value) => set({ view: value === 'list' ? '' : value })}
          items={[{ value: 'list', text: w.list(), count }, { value: 'map', text: w.map() }, { value: 'hitmap', text: w.hitmaps() }]}
        />
        <div class="grow" />
        {view === 'list' && <span class="note">{w.note()}</span>}
      </div>
      {view === 'map' ? <ServiceMap /> : (
        <Panel of={loaded} height={420}>
          {(red) => (red.services.length === 0 ? <None /> : view === 'hitmap' ? <Hitmaps services={red.services} /> : <List red={red} />)}
        </Panel>
      )}
    </>
  );
}

const None = () => (
  <Empty title={w.none()} why={w.noneWhy()}>
    <a class="btn primary" href={href('traces')}>{w.toTraces()}</a>
  </Empty>
);

function List({ red }: { red: Red }) {
  const sort = route.value.q.sort ?? 'p95';
  const rows = [...red.services].sort(SORTS[sort] ?? SORTS.p95);
  const sorted = (name: string) => ({ sort: sort === name, onSort: () => set({ sort: name === 'p95' ? '' : name }), title: w.sortBy({ name }) });
  const spark = (one: ServiceRed, points: ServiceRed['rate'], color: string, max?: number) => <Spark key={one.service} points={points} color={color} {...(max && { max })} />;
  const columns: Column<ServiceRed>[] = [
    { head: '', cell: (one) => <Glyph state={one.level} /> },
    { head: w.service(), class: 'clip', ...sorted('name'), cell: (one) => <b class="strong" data-entity={JSON.stringify({ service: one.service })}>{one.service}</b> },
    { head: w.rate(), class: 'num', ...sorted('rate'), cell: (one) => format.si(lastOf(one.rate)) },
    { head: '', class: 'lo', cell: (one) => spark(one, one.rate, 'ok') },
    { head: w.errors(), class: 'num', ...sorted('errors'), cell: (one) => <b class={lastOf(one.errors) >= 5 ? 't-crit' : lastOf(one.errors) >= 1 ? 't-warn' : ''}>{format.percent(lastOf(one.errors))}</b> },
    { head: '', cell: (one) => spark(one, one.errors, lastOf(one.errors) >= 5 ? 'crit' : lastOf(one.errors) >= 1 ? 'warn' : 'ok', Math.max(2, ...one.errors.map(([, v]) => v))) },
    { head: 'p50', class: 'num lo', cell: (one) => format.duration(lastOf(one.p50)) },
    { head: 'p95', class: 'num', ...sorted('p95'), cell: (one) => <b class={toneOf(one.level)}>{format.duration(lastOf(one.p95))}</b> },
    { head: '', cell: (one) => spark(one, one.p95, colorOf(one.level)) },
    { head: '', class: 'nowrap', cell: (one) => (one.level === 'wait' ? <span class="faint">{w.noCalls()}</span> : one.level === 'ok' ? '' : <Why one={one} />) },
  ];
  return (
    <>
      <div class="sec">
        <Table label={w.title()} rows={rows} rowKey={(one) => one.service} columns={columns} onRow={(one) => set({ drawer: `service:${one.service}` })} />
        <Criterion name={w.rule()}>{w.ruleText()}</Criterion>
      </div>
      <Charts red={red} rows={rows} />
    </>
  );
}

/** From a little before it went over its threshold within the window. */
function Why({ one }: { one: ServiceRed }) {
  const { from, to } = range.value;
  const since = Math.max(from, sinceOf(one) - LEAD_MS);
  return <WhyLink from={since} to={to} service={one.service} q={lastOf(one.p95) >= SLOW_MS ? durationFilter(SLOW_MS) : ''} />;
}

/** A range of a chart: where to look at it. */
function onBrush(brush: Brush, at: { x: number; y: number }): void {
  const window = { from: String(Math.round(brush.t0)), to: String(Math.round(brush.t1)) };
  menuAt(at.x, at.y, [
    { text: w.traces(), href: href('traces', window) },
    { text: w.logs(), href: href('logs', window) },
    { text: w.why(), href: whyHref({ from: brush.t0, to: brush.t1 }) },
    { text: w.zoom(), act: () => setWindow({ from: brush.t0, to: brush.t1 }) },
  ], `${w.this()} ${format.time(brush.t0)} – ${format.time(brush.t1)}`);
}

function Charts({ red, rows }: { red: Red; rows: ServiceRed[] }) {
  const { from, to } = range.value;
  const lines = (of: (one: ServiceRed) => ServiceRed['rate']) => rows.map((one) => ({ name: one.service, points: of(one) }));
  const common = { from, to, step: red.step, height: 150, onBrush };
  return (
    <div class="cols three charts">
      <LineChart {...common} title={w.p95()} lines={lines((one) => one.p95)} unit={format.duration} limits={[{ value: 3000, level: 'warn' }, { value: 8000, level: 'crit' }]} />
      <LineChart {...common} title={w.errors()} lines={lines((one) => one.errors)} unit={format.percent} />
      <LineChart {...common} title={w.rateTitle()} lines={lines((one) => one.rate)} />
    </div>
  );
}

function Hitmaps({ services }: { services: ServiceRed[] }) {
  const shown = [...services].sort(SORTS.p95).slice(0, HITMAPS_MAX);
  return (
    <>
      <div class="multi">{shown.map((one) => <OneHitmap key={one.service} red={one} />)}</div>
      <Criterion name={w.reading()}>{w.hitmapText()}</Criterion>
    </>
  );
}

function OneHitmap({ red }: { red: ServiceRed }) {
  const { from, to } = range.value;
  const name = red.service;
  const loaded = useLoad(`hitmap ${name} ${from} ${to}`, (signal) => call<Grid>('/api/ui/v1/hitmap', { from: Math.round(from), to: Math.round(to), service: name }, { signal }));
  const pick = (box: Box) => go('traces', { f: writeFilters([{ key: 'service', value: name }]), sel: [box.t0, box.t1, box.ms0, box.ms1].join('~') });
  return (
    <Section title={name} right={<span class="num">p95 {format.duration(lastOf(red.p95))}</span>}>
      <Panel of={loaded} height={230}>
        {(grid) => <Hitmap grid={grid} from={from} to={to} height={230} label={w.hitmapLabel({ name, n: format.int(grid.hits.reduce((a, b) => a + b, 0)) })} onBox={pick} />}
      </Panel>
    </Section>
  );
}
