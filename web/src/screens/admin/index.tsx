// Administration: what is scraped, what takes memory, how the server is, who may come in.
import { apiUrl, call, Criterion, format, Glyph, lastOf, LineChart, Meter, Panel, prom, queryRange, range, route, Section, set, stepFor, Table, Tabs, useLoad, type Line } from '../../core';
import { Targets } from './targets';
import { Tokens } from './tokens';
import { w } from './words';

export default function Admin() {
  const view = route.value.q.tab ?? 'targets';
  return (
    <>
      <div class="bar">
        <h1>{w.title()}</h1>
        <Tabs
          label={w.view()} value={view} onPick={(value) => set({ tab: value === 'targets' ? '' : value })}
          items={[{ value: 'targets', text: w.targets() }, { value: 'cardinality', text: w.cardinality() }, { value: 'server', text: w.server() }, { value: 'tokens', text: w.tokens() }]}
        />
      </div>
      {view === 'cardinality' ? <Cardinality /> : view === 'server' ? <Server /> : view === 'tokens' ? <Tokens /> : <Targets />}
    </>
  );
}

/* Cardinality */

interface Count {
  name: string;
  value: number;
}
interface Tsdb {
  headStats: { numSeries: number; numLabelPairs: number };
  seriesCountByMetricName: Count[];
  labelValueCountByLabelName: Count[];
  memoryInBytesByLabelName: Count[];
  seriesCountByLabelValuePair: Count[];
}

function Cardinality() {
  const loaded = useLoad('tsdb', (signal) => prom<Tsdb>('status/tsdb', { limit: 20 }, { signal }));
  return (
    <Panel of={loaded} height={400}>
      {(data) => (
        <>
          <p class="say"><b class="strong">{w.inMemory({ n: format.int(data.headStats.numSeries), pairs: format.int(data.headStats.numLabelPairs) })}</b></p>
          <div class="cols two">
            <Counts title={w.byName()} rows={data.seriesCountByMetricName} unit={format.int} />
            <Counts title={w.byPair()} rows={data.seriesCountByLabelValuePair} unit={format.int} />
            <Counts title={w.byLabel()} rows={data.labelValueCountByLabelName} unit={format.int} />
            <Counts title={w.memory()} rows={data.memoryInBytesByLabelName} unit={format.bytes} />
          </div>
          <Criterion name={w.reading()}>{w.cardinalityText()}</Criterion>
        </>
      )}
    </Panel>
  );
}

function Counts({ title, rows, unit }: { title: string; rows: Count[]; unit: format.Unit }) {
  const most = Math.max(1, ...rows.map(({ value }) => value));
  return (
    <Section title={title}>
      <Table
        label={title} rows={rows} rowKey={(row) => row.name}
        columns={[
          { head: w.name(), class: 'clip', cell: (row) => <code title={row.name}>{row.name}</code> },
          { head: '', class: 'bar-cell', cell: (row) => <Meter share={row.value / most} state="plain" /> },
          { head: w.values(), class: 'num', sort: true, cell: (row) => <b>{unit(row.value)}</b> },
        ]}
      />
    </Section>
  );
}

/* The server */

interface Health {
  status: string;
  clock?: { state: string };
  write_ahead_log?: { state: string };
  refused_batches?: number;
  tenants_with_missing_rows?: number;
}

const CHARTS: [() => string, string, format.Unit][] = [
  [w.disk, 'min(mirador_disk_free_bytes)', format.bytes],
  [w.parts, 'sum(mirador_part_bytes)', format.bytes],
  [w.heads, 'sum(mirador_head_bytes)', format.bytes],
  [w.rss, 'sum(process_resident_memory_bytes{job="mirador"})', format.bytes],
];

function Server() {
  const { from, to } = range.value;
  const step = Math.max(15_000, stepFor({ from, to }, 80));
  const health = useLoad(`health ${Math.floor(to / 10_000)}`, (signal) => call<Health>('/healthy', {}, { signal }));
  const version = useLoad('version', (signal) => call<{ version: string }>('/version', {}, { signal }));
  const charts = useLoad(`own ${Math.floor(to / step)} ${to - from}`, (signal) => Promise.all(CHARTS.map(async ([, query]) => (await queryRange(query, from, to, step, { signal }))[0]?.points ?? [])));
  return (
    <>
      <Panel of={health}>
        {(data) => (
          <>
            <p class="say"><Glyph state={data.status === 'healthy' ? 'ok' : 'crit'} /> <b class="strong">{data.status === 'healthy' ? w.healthy() : w.degraded()}</b></p>
            <dl class="kv facts">
              <div><dt>{w.version()}</dt><dd>{version.data?.version ?? '–'}</dd></div>
              <div><dt>{w.wal()}</dt><dd>{data.write_ahead_log?.state ?? '–'}</dd></div>
              <div><dt>{w.clock()}</dt><dd>{data.clock?.state ?? '–'}</dd></div>
              <div><dt>{w.refused()}</dt><dd>{data.refused_batches ?? '–'}</dd></div>
              <div><dt>{w.missing()}</dt><dd>{data.tenants_with_missing_rows ?? '–'}</dd></div>
            </dl>
            <p class="hint">{w.own()} <a class="link" target="_blank" rel="noreferrer" href={apiUrl('/front')}>{w.frontPage()}</a> · <a class="link" target="_blank" rel="noreferrer" href="./licenses.txt">{w.licences()}</a></p>
          </>
        )}
      </Panel>
      <Panel of={charts} height={300}>
        {(all) => (
          <div class="cols two charts">
            {CHARTS.map(([title, , unit], i) => {
              const line: Line = { name: '', points: all[i]!, color: 'ok', fill: true };
              return Number.isFinite(lastOf(all[i]!)) && <LineChart key={title()} title={title()} lines={[line]} from={from} to={to} step={step} unit={unit} />;
            })}
          </div>
        )}
      </Panel>
    </>
  );
}
