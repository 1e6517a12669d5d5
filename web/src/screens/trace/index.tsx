// One trace: waterfall, map, table; the chosen span; the lines that carry its id.
import {
  copy, Criterion, Empty, Failure, format, Glyph, href, Icon, IconButton, levelOf, Panel, Partial, route, Section, set, Table, Tabs, useLoad,
  type ComponentChildren,
} from '../../core';
import { load, type Answer, type TraceLine } from './data';
import { Detail, LogLine } from './detail';
import { MapOfTrace } from './map';
import { httpOf, isDb, sqlOf, type Span, type Trace } from './model';
import { Waterfall } from './waterfall';
import { w } from './words';

export default function TraceScreen() {
  const { q } = route.value;
  const id = q.id ?? '';
  const loaded = useLoad(id ? `trace ${id}` : undefined, (signal) => load(id, signal));
  if (!id) return <Empty title={w.noId()}><Back /></Empty>;
  if (loaded.error?.status === 404) return <Missing id={id} />;
  if (loaded.error && !loaded.data) return <Failure error={loaded.error} retry={loaded.retry} />;
  return <Panel of={loaded} height={500}>{(answer) => (answer.trace ? <Whole id={id} answer={answer} trace={answer.trace} /> : <Missing id={id} />)}</Panel>;
}

const Back = () => <a class="btn primary" href={href('traces')}>{w.back()}</a>;
const Missing = ({ id }: { id: string }) => (
  <>
    <div class="bar"><h1>{w.missing()}</h1><code class="faint">{id}</code></div>
    <Empty title={w.missing()} why={w.missingWhy()}><Back /></Empty>
  </>
);

/** The span that is shown at first: the one that was waited for longest. */
function slowest(trace: Trace, path: Set<string>): Span {
  const waited = trace.spans.filter((span) => path.has(span.id));
  return (waited.length > 0 ? waited : trace.spans).reduce((a, b) => (b.self > a.self ? b : a));
}

function Whole({ id, answer, trace }: { id: string; answer: Answer; trace: Trace }) {
  const { q } = route.value;
  const path = new Set(answer.map?.critical_path.span_id ?? []);
  const chosen = trace.spans.find((span) => span.id === q.step) ?? slowest(trace, path);
  const pick = (span: Span) => set({ step: span.id }, true);
  const view = q.view ?? 'waterfall';
  const root = trace.spans[0]!;
  return (
    <>
      <div class="bar">
        <a class="btn icon" href={href('traces')} title={w.back()} aria-label={w.back()}><Icon name="left" /></a>
        <h1 class="clip">{root.name}</h1>
        <code class="faint clip">{id}</code>
        <IconButton icon="copy" title="ID" onClick={() => void copy(id)} />
      </div>
      <Partial stats={answer.stats} />
      <Summary trace={trace} root={root} />
      <div class="cols trace">
        <div>
          <div class="line viewbar">
            <Tabs
              label={w.view()} value={view} onPick={(value) => set({ view: value === 'waterfall' ? '' : value }, true)}
              items={[{ value: 'waterfall', text: w.waterfall() }, ...(answer.map ? [{ value: 'map', text: w.map() }] : []), { value: 'table', text: w.table(), count: trace.spans.length }]}
            />
          </div>
          {view === 'table' ? (
            <SpanTable trace={trace} chosen={chosen} onPick={pick} />
          ) : view === 'map' && answer.map ? (
            <>
              <MapOfTrace map={answer.map} onPick={(span) => set({ step: span }, true)} />
              <Criterion name={w.reading()}>{w.mapText()}</Criterion>
            </>
          ) : (
            <>
              <Waterfall trace={trace} path={path} lines={answer.lines} chosen={chosen} onPick={pick} />
              <Criterion name={w.reading()}>{w.waterfallText()}</Criterion>
            </>
          )}
          <Lines id={id} lines={answer.lines} trace={trace} />
        </div>
        <Detail trace={trace} span={chosen} lines={answer.lines} />
      </div>
    </>
  );
}

function Summary({ trace, root }: { trace: Trace; root: Span }) {
  const services = [...new Set(trace.spans.map((span) => span.service))];
  const failed = trace.spans.filter((span) => span.failed).length;
  const statements = trace.spans.filter((span) => sqlOf(span) !== undefined || isDb(span)).length;
  const facts: [string, ComponentChildren][] = [
    [w.start(), format.stamp(trace.start)],
    [w.elapsed(), <>{format.duration(trace.ms)} <Glyph state={levelOf(trace.ms)} /></>],
    [w.spans(), format.int(trace.spans.length)],
    [w.services(), <span class="clip" title={services.join(' → ')}>{services.slice(0, 5).join(' → ')}{services.length > 5 && ` … ${w.more({ n: services.length - 5 })}`}</span>],
    [w.result(), failed > 0 ? <span class="t-crit">✕ {httpOf(root) ?? w.failed()}</span> : (httpOf(root) ?? w.ok())],
    ['SQL', w.times({ n: statements })],
  ];
  return (
    <div class="tsum">
      {facts.map(([name, value]) => (
        <div key={name}>
          <span>{name}</span>
          <b>{value}</b>
        </div>
      ))}
    </div>
  );
}

const TABLE_MAX = 1000;

function SpanTable({ trace, chosen, onPick }: { trace: Trace; chosen: Span; onPick: (span: Span) => void }) {
  return (
    <Table
      label={w.spans()} rows={trace.spans.slice(0, TABLE_MAX)} rowKey={(span, i) => span.id + i} onRow={onPick} rowClass={(span) => (span === chosen ? 'on' : '')}
      columns={[
        { head: '#', cell: (_, i) => <span class="faint">{i + 1}</span> },
        { head: w.startAt(), class: 'num', cell: (span) => `+${format.duration(span.start)}` },
        { head: w.stepTime(), class: 'num', cell: (span) => <b>{format.duration(span.ms)}</b> },
        { head: w.gap(), class: 'num lo', title: w.gapTitle(), cell: (span, i) => <span class="faint">{i ? format.duration(Math.max(0, span.start - trace.spans[i - 1]!.start)) : '–'}</span> },
        { head: w.selfTime(), class: 'num', cell: (span) => format.duration(span.self) },
        { head: w.service(), class: 'nowrap', cell: (span) => span.service },
        { head: w.operation(), class: 'clip', cell: (span) => <code>{span.failed && '✕ '}{sqlOf(span) ?? span.name}</code> },
        { head: w.kind(), class: 'nowrap lo', cell: (span) => <span class="faint">{span.kind || 'INTERNAL'}</span> },
      ]}
    />
  );
}

const AROUND_MS = 60_000;
const LINES_MAX = 200;

function Lines({ id, lines, trace }: { id: string; lines: TraceLine[]; trace: Trace }) {
  const around = { from: String(trace.start - AROUND_MS), to: String(Math.round(trace.start + trace.ms + AROUND_MS)), f: '' };
  return (
    <Section title={w.logsOfTrace()} right={<a class="link" href={href('logs', { ...around, q: lines.some((line) => line.span) ? `trace_id:${id}` : id })}>{w.inLogs()}</a>}>
      {lines.length === 0 ? <p class="hint">{w.noLogs()}</p> : lines.slice(0, LINES_MAX).map((line, i) => <LogLine key={i} line={line} />)}
    </Section>
  );
}
