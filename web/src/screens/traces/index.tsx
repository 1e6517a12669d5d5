// Traces: the hitmap, what is selected in it, and what runs now.
import {
  CopyButton, Criterion, durationFilter, Empty, filterOf, format, Glyph, Hitmap, href, Panel, parseWindow, Partial, patterns, range, route, Section,
  Segments, set, setFilter, setWindow, useEffect, useLoad, useState, WhyLink, writeFilters, type Box, type Pattern,
} from '../../core';
import { active as loadActive, hitmap, lastEnd, services, transactions, type Asked, type HitmapAnswer } from './data';
import { ActiveTable, TransactionTable } from './list';
import { Side } from './side';
import { w } from './words';

const EXAMPLE = '{ span.http.route = "/pay" && status = error }';
const LIST_SELECTED = 1000;
const LIST_SLOWEST = 100;
const SHOWN_MAX = 300;

/** `sel` of the URL: end and duration, in milliseconds. */
function parseBox(text: string | undefined): Box | undefined {
  const [t0, t1, ms0, ms1] = (text ?? '').split('~').map(Number);
  return [t0, t1, ms0, ms1].every(Number.isFinite) ? { t0: t0!, t1: t1!, ms0: ms0!, ms1: ms1! } : undefined;
}

export default function Traces() {
  const { q } = route.value;
  const { from, to } = range.value;
  const service = filterOf('service') ?? '';
  const asked: Asked = { from, to, service, q: q.q ?? '' };
  const asking = JSON.stringify(asked);
  const grid = useLoad(`hitmap ${asking}`, (signal) => hitmap(asked, signal));
  const active = useLoad(`active ${service} ${to}`, (signal) => loadActive(service, signal));
  const sum = (list: number[] | undefined) => (list ?? []).reduce((a, b) => a + b, 0);
  const [count, errors] = [sum(grid.data?.hits), sum(grid.data?.errors)];
  return (
    <>
      <TracesBar service={service} note={grid.data && w.note({ count: format.int(count), step: format.span(grid.data.step * 1000), ms: grid.data.stats.ms.toFixed(0) })} />
      <Partial stats={grid.data?.stats} />
      <div class="cols traces">
        <Section title={w.hitmap()} right={<Legend />}>
          <Panel of={grid} height={392}>
            {(data) => (count === 0 ? <Nothing asked={asked} /> : <Map data={data} label={w.hitmapLabel({ count, errors })} />)}
          </Panel>
          <Criterion name={w.rule()}>{w.ruleText()}</Criterion>
        </Section>
        <Side asked={asked} asking={asking} active={active} />
      </div>
      {q.view === 'active' ? (
        <Section title={w.activeList({ n: active.data?.total ?? 0 })} right={<button type="button" class="btn small" onClick={() => set({ view: '' })}>{w.back()}</button>}>
          <Panel of={active}>{(data) => <ActiveTable active={data} />}</Panel>
        </Section>
      ) : (
        <List asked={asked} />
      )}
    </>
  );
}

function TracesBar({ service, note }: { service: string; note: string | undefined }) {
  const { q } = route.value;
  const { from, to } = range.value;
  const names = useLoad(`services ${Math.floor(to / 60_000)} ${Math.round(to - from)}`, (signal) => services(from, to, signal));
  const known = [...new Set([...(names.data ?? []), service].filter(Boolean))];
  return (
    <div class="bar">
      <h1>{w.title()}</h1>
      <select class="input pick" aria-label={w.service()} value={service} onChange={(event) => setFilter('service', event.currentTarget.value)}>
        <option value="">{w.allServices()}</option>
        {known.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      <Segments
        label={w.scale()} value={q.y ?? ''} onPick={(value) => set({ y: value })}
        items={[{ value: '', text: w.zones() }, { value: 'log', text: w.log() }]}
      />
      <button type="button" class="btn" aria-pressed={q.err === '1'} onClick={() => set({ err: q.err === '1' ? '' : '1' })}>
        <Glyph state="crit" />
        {w.errorsOnly()}
      </button>
      <QueryField value={q.q ?? ''} />
      <span class="note num">{note}</span>
    </div>
  );
}

function QueryField({ value }: { value: string }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <div class="query small">
      <input
        data-query value={text} placeholder={w.queryExample({ example: EXAMPLE })} aria-label={w.query()} spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => event.key === 'Enter' && !event.isComposing && set({ q: text.trim(), sel: '' })}
      />
    </div>
  );
}

const Legend = () => (
  <div class="legend">
    <span><Glyph state="ok" /> {w.fast()}</span>
    <span><Glyph state="warn" /> {w.slow()}</span>
    <span><Glyph state="crit" /> {w.verySlow()}</span>
  </div>
);

function Map({ data, label }: { data: HitmapAnswer; label: string }) {
  const { q } = route.value;
  const { from, to } = range.value;
  const text = (one: Pattern) => (one.kind === 'line' ? w.lineNote({ at: format.duration(one.ms) }) : w.columnNote());
  const notes = patterns(data).map((pattern) => ({ pattern, text: text(pattern) }));
  const pick = (box: Box) => set({ sel: [box.t0, box.t1, box.ms0, box.ms1].join('~'), view: '' });
  return <Hitmap grid={data} from={from} to={to} height={392} label={label} log={q.y === 'log'} errorsOnly={q.err === '1'} selected={parseBox(q.sel)} notes={notes} onBox={pick} />;
}

function List({ asked }: { asked: Asked }) {
  const { q } = route.value;
  const box = parseBox(q.sel);
  const sort = q.sort === 'end' ? 'end' : 'duration';
  const limit = box ? LIST_SELECTED : LIST_SLOWEST;
  const wanted = { ...asked, ...(box && { from: box.t0, to: box.t1, ms0: box.ms0, ms1: box.ms1 }), sort, errorsOnly: q.err === '1', limit };
  const found = useLoad(`tx ${JSON.stringify(wanted)}`, (signal) => transactions(wanted, signal));
  const count = found.data?.rows.length ?? 0;
  const title = box ? <span class="t-sel">{w.picked()} {format.int(count)}{found.data?.more && '+'}</span> : w.slowest({ n: LIST_SLOWEST });
  return (
    <section class="sec txlist">
      <header>
        <h2>{title}</h2>
        {box && <span class="faint num">{format.time(box.t0)}–{format.time(box.t1)} · {format.duration(box.ms0)}–{format.duration(box.ms1)}</span>}
        <div class="right">
          <Segments
            label={w.sort()} value={sort} onPick={(value) => set({ sort: value === 'end' ? 'end' : '' })}
            items={[{ value: 'duration', text: w.byElapsed() }, { value: 'end', text: w.byEnd() }]}
          />
          {box && <WhyLink from={box.t0} to={box.t1} service={asked.service} q={durationFilter(box.ms0, box.ms1, asked.q)} />}
          {box && <a class="btn small" href={href('logs', { from: String(box.t0), to: String(box.t1), ...(asked.service && { f: writeFilters([{ key: 'service', value: asked.service }]) }) })}>{w.logsOf()}</a>}
          {box && <button type="button" class="btn small" onClick={() => set({ sel: '' })}>{w.clear()}</button>}
        </div>
      </header>
      <Panel of={found}>
        {(data) => (
          <>
            <Partial stats={data.stats} />
            <TransactionTable rows={data.rows.slice(0, SHOWN_MAX)} label={w.title()} sort={sort} />
            {data.rows.length > SHOWN_MAX && <p class="hint">{w.more({ n: SHOWN_MAX })}</p>}
          </>
        )}
      </Panel>
    </section>
  );
}

/** Three kinds of empty: nothing ever came, nothing in this time, nothing that matches. */
function Nothing({ asked }: { asked: Asked }) {
  const isFiltered = asked.q !== '' || asked.service !== '';
  const all = useLoad(isFiltered ? `all ${asked.from} ${asked.to}` : undefined, (signal) => hitmap({ ...asked, service: '', q: '' }, signal));
  const last = useLoad('last', lastEnd);
  const others = (all.data?.hits ?? []).reduce((a, b) => a + b, 0);
  if (others > 0) {
    const drop = () => (asked.q ? set({ q: '' }) : setFilter('service', ''));
    return (
      <Empty title={w.filtered()} why={w.filteredWhy({ count: format.int(others) })}>
        <button type="button" class="btn primary" onClick={drop}>{w.dropFilter()}</button>
      </Empty>
    );
  }
  if (last.loading) return null;
  const end = last.data;
  if (end !== undefined) {
    return (
      <Empty title={w.none()} why={w.noneWhy()}>
        <button type="button" class="btn primary" onClick={() => setWindow(parseWindow(String(end), Date.now())!)}>{w.toLast({ at: format.stamp(end) })}</button>
      </Empty>
    );
  }
  const command = `OTEL_EXPORTER_OTLP_ENDPOINT=${new URL('..', location.href).href}\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`;
  return (
    <Empty title={w.noSource()} why={w.noSourceWhy()}>
      <pre class="well">{command}</pre>
      <CopyButton text={command} />
    </Empty>
  );
}
