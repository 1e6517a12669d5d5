// Logs: a search, how many lines when, values to narrow by, and the lines.
import {
  Bars, CopyButton, Empty, Failure, filters, format, href, Icon, IconButton, LineChart, menuAt, Panel, range, route, Segments, set, setWindow,
  stepFor, Tabs, useEffect, useLoad, useState, type Brush, type Loaded,
} from '../../core';
import { facets, labelNames, lastLine, LEVELS, volume, type Volume } from './data';
import { Facets } from './facets';
import { Lines } from './list';
import { useLines, type Shown } from './lines';
import { exportMenu, LinesTable, Patterns } from './others';
import { ANY, isMetric, parseTerms, toLogql, wordsOf, writeTerms } from './query';
import { w } from './words';

export default function Logs() {
  const { q } = route.value;
  const window = range.value;
  const width = window.to - window.from;
  const names = useLoad(`labels ${Math.floor(window.to / 60_000)} ${width}`, (signal) => labelNames(window, signal));
  const streamLabels = new Set(names.data ?? []);
  const isLogql = q.mode === 'logql';
  const query = isLogql ? (q.q ?? '').trim() || `{${ANY}}` : toLogql(q.q ?? '', filters.value, streamLabels);
  // Whether a name is a label decides what is asked, so the names come first.
  const asked = names.data || names.error ? query : undefined;
  const isNumbers = isLogql && isMetric(query);
  const isTailing = q.tail === '1' && !isNumbers;
  const shown = useLines(asked, window, stepFor(window, 120), q.row !== undefined, isTailing);
  const coarse = Math.max(10_000, Math.min(30_000, width / 60));
  const slot = `${Math.floor(window.to / coarse)} ${width} ${asked}`;
  const counted = useLoad(asked && !isNumbers ? `volume ${slot}` : undefined, (signal) => volume(query, window, signal));
  const valued = useLoad(asked && !isNumbers ? `facets ${slot}` : undefined, (signal) => facets(query, window, signal));
  return (
    <>
      <LogsBar isLogql={isLogql} logql={query} isTailing={isTailing} />
      <div class="line under">
        <code class="faint clip" title={w.sameQuery()}>LogQL {query}</code>
        <CopyButton text={query} label={w.copy()} />
        <div class="grow" />
        <span class="faint nowrap num">{counted.data && w.found({ shown: format.int(shown.lines.length), all: format.int(counted.data.all) })}</span>
      </div>
      {shown.base.error && <Failure error={shown.base.error} retry={shown.base.retry} />}
      {isNumbers ? <Numbers shown={shown} /> : <Found query={query} shown={shown} counted={counted} valued={valued} streamLabels={streamLabels} isTailing={isTailing} isLogql={isLogql} />}
    </>
  );
}

function LogsBar({ isLogql, logql, isTailing }: { isLogql: boolean; logql: string; isTailing: boolean }) {
  const { q } = route.value;
  const [text, setText] = useState(q.q ?? '');
  useEffect(() => setText(q.q ?? ''), [q.q]);
  const search = () => set({ q: text.trim(), row: '' });
  const pickMode = (mode: string) => set({ mode: mode === 'logql' ? mode : '', q: mode === 'logql' ? logql : '', row: '' });
  return (
    <div class="bar">
      <h1>{w.title()}</h1>
      <Segments label={w.mode()} value={isLogql ? 'logql' : 'text'} onPick={pickMode} items={[{ value: 'text', text: w.text() }, { value: 'logql', text: 'LogQL' }]} />
      <div class="query">
        <Icon name="search" />
        <input
          data-query value={text} placeholder={isLogql ? `{${ANY}} |= "timed out"` : w.example()} aria-label={w.query()} spellcheck={false}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => event.key === 'Enter' && !event.isComposing && search()}
        />
        {text && <IconButton icon="close" title={w.clear()} onClick={() => set({ q: '', row: '' })} />}
      </div>
      <button type="button" class="btn primary" onClick={search}>{w.search()}</button>
      <button type="button" class="btn" aria-pressed={isTailing} onClick={() => set({ tail: isTailing ? '' : '1', row: '' })}>
        <i class="tail" />
        {w.tail()}
      </button>
    </div>
  );
}

interface FoundProps {
  query: string;
  shown: Shown;
  counted: Loaded<Volume>;
  valued: Parameters<typeof Facets>[0]['facets'];
  streamLabels: ReadonlySet<string>;
  isTailing: boolean;
  isLogql: boolean;
}

function Found({ query, shown, counted, valued, streamLabels, isTailing, isLogql }: FoundProps) {
  const { q } = route.value;
  const view = q.view ?? '';
  const marked = isLogql ? [] : wordsOf(q.q ?? '');
  const isEmpty = shown.base.data !== undefined && shown.lines.length === 0;
  return (
    <>
      <Panel of={counted} height={104}>{(data) => <Histogram data={data} />}</Panel>
      <div class="cols logcols">
        <Facets facets={valued} volume={counted.data} />
        <div>
          <div class="line logbar">
            <Tabs
              label={w.view()} value={view} onPick={(value) => set({ view: value })}
              items={[{ value: '', text: w.messages() }, { value: 'table', text: w.table() }, { value: 'patterns', text: w.patterns() }]}
            />
            <div class="grow" />
            <Legend />
            <button type="button" class="btn small" onClick={(event) => exportMenu(event.currentTarget, shown.lines)}>{w.export()}</button>
          </div>
          {isTailing && (
            <div class="banner tailbar" role="status">
              <i class="tail on" />
              <span class="grow">{w.following({ n: shown.fresh })}</span>
              <button type="button" class="btn small" onClick={() => set({ tail: '' })}>{w.stop()}</button>
            </div>
          )}
          {view === 'patterns' ? <Patterns query={query} window={range.value} /> : isEmpty ? <Nothing isLogql={isLogql} /> : (
            <Panel of={shown.base} height={400}>
              {() => (view === 'table' ? <LinesTable lines={shown.lines} marked={marked} /> : <Lines lines={shown.lines} marked={marked} streamLabels={streamLabels} onEnd={shown.more} />)}
            </Panel>
          )}
          {view === '' && !isEmpty && shown.base.data && (shown.atStart ? <p class="hint end">{w.end()}</p> : <button type="button" class="more" onClick={shown.more}>{w.loadMore()}</button>)}
        </div>
      </div>
    </>
  );
}

const SHORT = { error: 'ERR', warn: 'WRN', info: 'INF', debug: 'DBG' } as const;
const Legend = () => (
  <div class="legend">
    {(['error', 'warn', 'info', 'debug'] as const).map((level) => (
      <span key={level}><i class={`sw ${level}`} />{SHORT[level]}</span>
    ))}
  </div>
);

function Histogram({ data }: { data: Volume }) {
  const { from, to } = range.value;
  const tokens = { error: 'log-error', warn: 'log-warn', info: 'log-info', debug: 'log-debug', unknown: 'series-rest' };
  const stacks = (['unknown', ...[...LEVELS].reverse()] as const).map((level) => ({ name: level, color: tokens[level], values: data.byLevel[level], hatched: level === 'error' }));
  const onBrush = (brush: Brush, at: { x: number; y: number }) => {
    const window = { from: String(Math.round(brush.t0)), to: String(Math.round(brush.t1)) };
    menuAt(at.x, at.y, [{ text: w.only(), act: () => setWindow({ from: brush.t0, to: brush.t1 }) }, { text: w.traces(), href: href('traces', window) }], `${w.range()} ${format.time(brush.t0)} – ${format.time(brush.t1)}`);
  };
  return <Bars label={w.volume({ all: format.int(data.all), errors: format.int(data.totals.error) })} stacks={stacks} first={data.first} step={data.step} from={from} to={to} onBrush={onBrush} />;
}

/** A query for numbers is a chart. */
function Numbers({ shown }: { shown: Shown }) {
  const { from, to } = range.value;
  return <Panel of={shown.base} height={240}>{({ series }) => <LineChart title={w.graph()} lines={series ?? []} from={from} to={to} height={240} step={stepFor({ from, to }, 120)} />}</Panel>;
}

/** Three kinds of empty: nothing ever came, nothing in this time, nothing that matches. */
function Nothing({ isLogql }: { isLogql: boolean }) {
  const { q } = route.value;
  const window = range.value;
  const isFiltered = Boolean(q.q) || filters.value.length > 0;
  const all = useLoad(isFiltered ? `all ${Math.floor(window.to / 10_000)} ${window.to - window.from}` : undefined, (signal) => volume(`{${ANY}}`, window, signal));
  const last = useLoad('last', lastLine);
  if (all.data && all.data.all > 0) {
    const dropLast = () => set({ q: isLogql ? '' : writeTerms(parseTerms(q.q ?? '').slice(0, -1)), ...(!q.q && { f: '' }) });
    return (
      <Empty title={w.filtered()} why={w.filteredWhy({ n: format.int(all.data.all) })}>
        <div class="line">
          <button type="button" class="btn primary" onClick={dropLast}>{w.dropLast()}</button>
          <button type="button" class="btn" onClick={() => set({ q: '', f: '' })}>{w.dropAll()}</button>
        </div>
      </Empty>
    );
  }
  if (last.loading || all.loading) return null;
  const at = last.data;
  if (at !== undefined) {
    return (
      <Empty title={w.none()} why={w.noneWhy()}>
        <button type="button" class="btn primary" onClick={() => setWindow({ from: at - 600_000, to: at + 60_000 })}>{w.toLast({ at: format.stamp(at) })}</button>
      </Empty>
    );
  }
  const command = `curl ${new URL('../loki/api/v1/push', location.href).href} -H 'content-type: application/json' \\\n  -d '{"streams":[{"stream":{"service_name":"try"},"values":[["'$(date +%s%N)'","hello"]]}]}'`;
  return (
    <Empty title={w.noSource()} why={w.noSourceWhy()}>
      <pre class="well">{command}</pre>
      <CopyButton text={command} />
    </Empty>
  );
}
