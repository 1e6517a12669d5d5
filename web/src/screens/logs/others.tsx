// Other looks at the same lines: a table, patterns, files to take away.
import { format, menuBelow, Meter, Panel, set, Spark, Table, toast, useLoad, type Window } from '../../core';
import { patterns, selectorOf, type Line, type PatternRow } from './data';
import { Marked, rowKey, serviceOf, traceOf } from './list';
import { w } from './words';

const TABLE_MAX = 300;
/** Fields that the table shows where lines have them. */
const COLUMNS = ['status', 'k8s_pod_name', 'pod'];

export function LinesTable({ lines, marked }: { lines: Line[]; marked: string[] }) {
  const rows = lines.slice(0, TABLE_MAX);
  const extra = COLUMNS.filter((key) => rows.some((line) => line.labels[key])).slice(0, 2);
  const tone = { error: 't-crit', warn: 't-warn', info: 'faint', debug: 'faint', unknown: 'faint' };
  return (
    <Table
      label={w.table()} rows={rows} rowKey={(_, i) => rowKey(rows, i)} onRow={(line) => set({ view: '', row: rowKey(rows, rows.indexOf(line)) })}
      columns={[
        { head: '', cell: (line) => <span class={`lv ${line.level}`} /> },
        { head: w.time(), class: 'nowrap', sort: true, cell: (line) => <span class="num">{format.milli(line.at)}</span> },
        { head: w.level(), cell: (line) => <span class={tone[line.level]}>{line.level === 'unknown' ? '–' : line.level}</span> },
        { head: 'service', class: 'nowrap', cell: (line) => serviceOf(line.labels) },
        ...extra.map((key) => ({ head: key, class: 'nowrap lo', cell: (line: Line) => <span class="faint">{(line.labels[key] ?? '–').slice(-24)}</span> })),
        { head: 'trace_id', class: 'nowrap lo', cell: (line) => <code class="faint">{traceOf(line.labels)?.slice(-8) ?? '–'}</code> },
        { head: w.message(), class: 'clip', cell: (line) => <code><Marked text={line.text.slice(0, 500).split('\n')[0]!} words={marked} /></code> },
      ]}
    />
  );
}

export function Patterns({ query, window }: { query: string; window: Window }) {
  const loaded = useLoad(`patterns ${query} ${Math.floor(window.to / 30_000)} ${window.to - window.from}`, (signal) => patterns(query, window, signal));
  return (
    <>
      {selectorOf(query) !== query && <p class="hint">{w.patternsOfStreams()}</p>}
      <Panel of={loaded}>{(rows) => (rows.length === 0 ? <p class="hint">{w.noPatterns()}</p> : <PatternTable rows={rows} />)}</Panel>
    </>
  );
}

/** The longest part of a pattern that does not change finds its lines. */
const fixedPart = (pattern: string) => pattern.split(/<[^>]*>/).map((part) => part.trim()).reduce((a, b) => (b.length > a.length ? b : a), '');

function PatternTable({ rows }: { rows: PatternRow[] }) {
  const all = rows.reduce((sum, row) => sum + row.count, 0);
  const search = (row: PatternRow) => {
    const text = fixedPart(row.pattern);
    if (text) set({ view: '', mode: '', q: `"${text.replace(/[\\"]/g, '\\$&')}"` });
  };
  return (
    <Table
      label={w.patterns()} rows={rows} rowKey={(row, i) => row.pattern + i} onRow={search}
      columns={[
        { head: '', cell: (row) => <span class={`lv ${row.level}`} /> },
        { head: w.count(), class: 'num', sort: true, cell: (row) => <b>{format.int(row.count)}</b> },
        { head: w.share(), class: 'bar-cell lo', cell: (row) => <Meter share={row.count / (all || 1)} state="plain" /> },
        { head: w.trend(), cell: (row) => <Spark points={row.points} width={120} color={row.level === 'error' ? 'crit' : row.level === 'warn' ? 'warn' : 'ok'} /> },
        { head: w.pattern(), class: 'clip', cell: (row) => <code>{row.pattern.split(/(<[^>]{1,3}>)/).map((part, i) => (i % 2 ? <span key={i} class="var">‹·›</span> : part))}</code> },
      ]}
    />
  );
}

/* Files */

const cell = (text: string) => `"${text.replace(/"/g, '""')}"`;
const asCsv = (lines: Line[]) => ['time,level,service,line', ...lines.map((line) => [new Date(line.at).toISOString(), line.level, serviceOf(line.labels), line.text].map(cell).join(','))].join('\n');
const asJson = (lines: Line[]) => lines.map((line) => JSON.stringify({ timestamp_ns: line.ns, line: line.text, ...line.labels })).join('\n');

function save(name: string, type: string, text: string, count: number): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
  toast(w.exported({ n: count }), name);
}

export function exportMenu(anchor: Element, lines: Line[]): void {
  const note = format.int(lines.length);
  menuBelow(anchor, [
    { text: 'CSV', note, act: () => save('logs.csv', 'text/csv', asCsv(lines), lines.length) },
    { text: 'NDJSON', note, act: () => save('logs.ndjson', 'application/x-ndjson', asJson(lines), lines.length) },
  ]);
}
