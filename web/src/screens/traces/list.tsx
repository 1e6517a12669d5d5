// The transactions of a box, or the slowest of the window; the hitmap's twin in words.
import { format, go, Glyph, levelOf, Meter, rowAt, Table, type Level } from '../../core';
import type { ActiveAnswer, Transaction } from './data';
import { w } from './words';

const toneOf = (level: Level) => (level === 'crit' ? 't-crit' : level === 'warn' ? 't-warn' : '');
const SCALE_ROWS = 96;

const Elapsed = ({ ms }: { ms: number }) => (
  <>
    <b class={toneOf(levelOf(ms))}>{format.duration(ms)}</b>
    <Glyph state={levelOf(ms)} />
  </>
);
const ElapsedBar = ({ ms }: { ms: number }) => <Meter share={rowAt(ms) / SCALE_ROWS} state={levelOf(ms) === 'ok' ? '' : levelOf(ms)} />;

/** The class of the HTTP status, or whether it failed. */
const Result = ({ row }: { row: Transaction }) => {
  if (row.failed) return <span class="tag crit">✕ {row.http ?? w.failed()}</span>;
  return <span class={row.http && row.http >= 400 ? 't-warn' : 'faint'}>{row.http ?? '–'}</span>;
};

export function TransactionTable({ rows, label, sort }: { rows: Transaction[]; label: string; sort: string }) {
  return (
    <Table
      label={label}
      rows={rows}
      rowKey={(row) => row.trace + row.span}
      onRow={(row) => go('trace', { id: row.trace, span: row.span })}
      columns={[
        { head: w.end(), class: 'nowrap', sort: sort === 'end', cell: (row) => <Mark row={row} /> },
        { head: w.service(), class: 'nowrap', cell: (row) => <span class="dim">{row.service}</span> },
        { head: w.elapsed(), class: 'num', sort: sort === 'duration', cell: (row) => <Elapsed ms={row.ms} /> },
        { head: '', class: 'bar-cell', cell: (row) => <ElapsedBar ms={row.ms} /> },
        { head: w.transaction(), class: 'clip', cell: (row) => <b class="strong">{row.name}</b> },
        { head: w.result(), class: 'nowrap', cell: (row) => <Result row={row} /> },
        { head: 'Trace ID', class: 'nowrap lo', cell: (row) => <code class="faint">{row.trace.slice(-8)}</code> },
      ]}
    />
  );
}

/** The time of a row, which also tells the menu what the row is about. */
const Mark = ({ row }: { row: Transaction }) => (
  <span class="num" data-entity={JSON.stringify({ service: row.service, trace: row.trace, name: row.name, at: row.end })}>
    {format.milli(row.end)}
  </span>
);

interface Running {
  trace: string;
  service: string;
  name: string;
  detail: string;
  ms: number;
  inferred: boolean;
}

function runningOf(active: ActiveAnswer): Running[] {
  const told = active.trace_id.map((trace, i): Running => ({ trace, service: active.service[i]!, name: active.name[i]!, detail: active.detail[i] ?? '', ms: active.elapsed_ms[i]!, inferred: false }));
  const more = active.inferred;
  const inferred = (more?.trace_id ?? []).map((trace, i): Running => ({ trace, service: more!.child_service[i]!, name: more!.child_name[i]!, detail: '', ms: more!.elapsed_at_least_ms[i]!, inferred: true }));
  return [...told.filter((_, i) => active.top[i]), ...inferred].sort((a, b) => b.ms - a.ms);
}

export function ActiveTable({ active }: { active: ActiveAnswer }) {
  const rows = runningOf(active);
  return (
    <Table
      label={w.active()}
      rows={rows}
      rowKey={(row, i) => `${row.trace} ${i}`}
      onRow={(row) => go('trace', { id: row.trace })}
      columns={[
        { head: w.elapsed(), class: 'num', sort: true, cell: (row) => <Elapsed ms={row.ms} /> },
        { head: '', class: 'bar-cell', cell: (row) => <ElapsedBar ms={row.ms} /> },
        { head: w.service(), class: 'nowrap', cell: (row) => <span class="dim">{row.service}</span> },
        { head: w.transaction(), class: 'nowrap', cell: (row) => <b class="strong">{row.name}</b> },
        { head: w.nowDoing(), class: 'clip', cell: (row) => <code>{row.detail || '–'}</code> },
        { head: w.basis(), class: 'nowrap', cell: (row) => (row.inferred ? <span class="tag">{w.inferred()}</span> : <span class="faint">{w.told()}</span>) },
        { head: 'Trace ID', class: 'nowrap lo', cell: (row) => <code class="faint">{row.trace.slice(-8)}</code> },
      ]}
    />
  );
}
