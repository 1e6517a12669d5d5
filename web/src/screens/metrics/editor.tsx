// A query of PromQL: a field with completion, a graph or a table of what it answers.
import {
  copy, Empty, format, LineChart, menuBelow, Panel, prom, queryAt, range, route, Segments, set, Table, useEffect, useLayoutEffect, useLoad, useRef, useState, type Series,
} from '../../core';
import { optionsFor, wordBefore, type Option } from './complete';
import { graph, linesOf, nameOf, stepOf } from './data';
import { w } from './words';

const HISTORY_KEY = 'mirador-promql';
const HISTORY_MAX = 20;
const readHistory = (): string[] => JSON.parse(localStorage.getItem(HISTORY_KEY) ?? '[]') as string[];
const remember = (query: string) => localStorage.setItem(HISTORY_KEY, JSON.stringify([query, ...readHistory().filter((one) => one !== query)].slice(0, HISTORY_MAX)));

export function Editor({ names }: { names: string[] }) {
  const { q } = route.value;
  const expr = q.expr ?? '';
  const [text, setText] = useState(expr);
  useEffect(() => setText(expr), [expr]);
  const run = (query: string) => {
    const asked = query.trim();
    if (asked) remember(asked);
    set({ tab: 'query', expr: asked });
  };
  const layOut = async () => {
    const laid = await prom<string>('format_query', { query: text }).catch(() => undefined);
    if (laid !== undefined) setText(laid);
  };
  const history = (anchor: Element) => {
    const past = readHistory();
    menuBelow(anchor, past.length > 0 ? past.map((query) => ({ text: query.slice(0, 90), act: () => run(query) })) : [{ text: w.noHistory() }]);
  };
  return (
    <>
      <Field text={text} names={names} onText={setText} onRun={run} />
      <div class="line editbar">
        <button type="button" class="btn primary" onClick={() => run(text)}>{w.run()}</button>
        <button type="button" class="btn" onClick={() => void layOut()}>{w.layout()}</button>
        <button type="button" class="btn" onClick={(event) => history(event.currentTarget)}>{w.history()}</button>
        <Segments label={w.view()} value={q.view ?? ''} onPick={(view) => set({ view })} items={[{ value: '', text: w.graph() }, { value: 'table', text: w.table() }]} />
        <span class="hint">{w.runHint()}</span>
      </div>
      {expr && (q.view === 'table' ? <AsTable expr={expr} /> : <AsGraph expr={expr} />)}
    </>
  );
}

interface FieldProps {
  text: string;
  names: string[];
  onText: (text: string) => void;
  onRun: (text: string) => void;
}

function Field({ text, names, onText, onRun }: FieldProps) {
  const field = useRef<HTMLTextAreaElement>(null);
  const [options, setOptions] = useState<Option[]>([]);
  const [at, setAt] = useState(0);
  /** Where the cursor stands once a completion is in the field. */
  const cursorAfter = useRef<number | undefined>(undefined);
  const offer = () => {
    const word = wordBefore(field.current!.value, field.current!.selectionStart);
    setOptions(word ? optionsFor(word.text, names) : []);
    setAt(0);
  };
  const take = (option: Option) => {
    const cursor = field.current!.selectionStart;
    const word = wordBefore(text, cursor)!;
    const added = option.kind === 'function' ? `${option.text}(` : option.text;
    onText(text.slice(0, word.start) + added + text.slice(cursor));
    setOptions([]);
    cursorAfter.current = word.start + added.length;
  };
  useLayoutEffect(() => {
    const cursor = cursorAfter.current;
    cursorAfter.current = undefined;
    if (cursor !== undefined) field.current!.setSelectionRange(cursor, cursor);
  }, [text]);
  const onKey = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (options.length > 0 && by) setAt((at + by + options.length) % options.length);
    else if (options.length > 0 && event.key === 'Tab' && options[at]) take(options[at]);
    else if (options.length > 0 && event.key === 'Escape') setOptions([]);
    else if (event.key === 'Enter' && !event.shiftKey) {
      setOptions([]);
      onRun(text);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const lines = text.split('\n').length;
  return (
    <div class="editor">
      <div class="gutter" aria-hidden="true">{Array.from({ length: lines }, (_, i) => <span key={i}>{i + 1}</span>)}</div>
      <textarea
        ref={field} data-query class="mono" rows={Math.max(2, lines)} value={text} spellcheck={false} aria-label={w.editor()} placeholder={w.example()}
        onInput={(event) => {
          onText(event.currentTarget.value);
          offer();
        }}
        onKeyDown={onKey} onBlur={() => setOptions([])}
      />
      {options.length > 0 && <Options options={options} at={at} onTake={take} />}
    </div>
  );
}

function Options({ options, at, onTake }: { options: Option[]; at: number; onTake: (option: Option) => void }) {
  // Before the field loses the focus.
  const take = (option: Option) => (event: PointerEvent) => {
    event.preventDefault();
    onTake(option);
  };
  return (
    <ul class="complete">
      {options.map((option, i) => (
        <li key={option.kind + option.text}>
          <button type="button" tabIndex={-1} class={i === at ? 'on' : ''} onPointerDown={take(option)}>
            <code class="clip">{option.text}</code>
            <small>{w[option.kind]()}</small>
          </button>
        </li>
      ))}
    </ul>
  );
}

const TABLE_MAX = 200;

function AsGraph({ expr }: { expr: string }) {
  const window = range.value;
  const step = stepOf(window, 180);
  const loaded = useLoad(`graph ${expr} ${window.from} ${window.to}`, async (signal) => {
    const began = performance.now();
    const series = await graph(expr, window, step, signal);
    return { series, ms: performance.now() - began };
  });
  const unit = format.unitOf(/\b(?:count|rate|irate|increase)\b/.test(expr) ? '' : (/^\s*([a-zA-Z_:][\w:]*)/.exec(expr)?.[1] ?? ''));
  return (
    <Panel of={loaded} height={320}>
      {({ series, ms }) => (series.length === 0 ? <Empty title={w.empty()} why={w.emptyWhy()} /> : (
        <>
          <LineChart title={w.result({ n: series.length, ms: Math.round(ms) })} lines={linesOf(series)} from={window.from} to={window.to} step={step} height={320} unit={unit} />
          <SeriesTable series={series} />
        </>
      ))}
    </Panel>
  );
}

function AsTable({ expr }: { expr: string }) {
  const { to } = range.value;
  const loaded = useLoad(`table ${expr} ${to}`, (signal) => queryAt(expr, to, { signal }));
  return <Panel of={loaded} height={320}>{(series) => (series.length === 0 ? <Empty title={w.empty()} why={w.emptyWhy()} /> : <SeriesTable series={series} />)}</Panel>;
}

function SeriesTable({ series }: { series: Series[] }) {
  const last = (one: Series) => one.points.at(-1)?.[1] ?? Number.NaN;
  const rows = [...series].sort((a, b) => (last(b) || 0) - (last(a) || 0)).slice(0, TABLE_MAX);
  return (
    <>
      <Table
        label={w.series()} rows={rows} rowKey={(one) => nameOf(one.labels)} onRow={(one) => void copy(nameOf(one.labels))}
        columns={[{ head: w.series(), class: 'clip', cell: (one) => <code>{nameOf(one.labels) || '{}'}</code> }, { head: w.value(), class: 'num', sort: true, cell: (one) => <b>{String(last(one))}</b> }]}
      />
      {series.length > TABLE_MAX && <p class="hint">{w.functions({ n: TABLE_MAX })}</p>}
    </>
  );
}
