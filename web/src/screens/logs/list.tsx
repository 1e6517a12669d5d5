// Lines, and the one that is open: its text, fields, trace, and the lines around it.
import { copy, CopyButton, format, href, onEnter, Panel, quote, route, set, useLoad, useState, VirtualList, type Labels } from '../../core';
import { around, type Level, type Line } from './data';
import { toggle } from './facets';
import { w } from './words';

const ROW = 24;
const SHORT: Record<Level, string> = { error: 'ERR', warn: 'WRN', info: 'INF', debug: 'DBG', unknown: '' };

export const traceOf = (labels: Labels): string | undefined => {
  const id = labels.trace_id ?? labels.traceid ?? labels.traceID ?? labels.TraceID;
  return id && /^[0-9a-f]{16,32}$/i.test(id) ? id : undefined;
};
export const serviceOf = (labels: Labels): string => labels.service_name ?? labels.app ?? labels.job ?? '';

/** One line's key in the URL; lines of one nanosecond are told apart by their place. */
export const rowKey = (lines: Line[], i: number): string => {
  const { ns } = lines[i]!;
  let nth = 0;
  for (let k = i - 1; k >= 0 && lines[k]!.ns === ns; k -= 1) nth += 1;
  return nth ? `${ns}.${nth}` : ns;
};

interface Props {
  lines: Line[];
  marked: string[];
  streamLabels: ReadonlySet<string>;
  onEnd: () => void;
}

export function Lines({ lines, marked, streamLabels, onEnd }: Props) {
  const wanted = route.value.q.row;
  const found = wanted ? lines.findIndex((_, i) => rowKey(lines, i) === wanted) : -1;
  const open = found < 0 ? undefined : found;
  return (
    <VirtualList
      count={lines.length} rowHeight={ROW} label={w.title()} open={open} onEnd={onEnd}
      row={(i) => {
        const key = rowKey(lines, i);
        return <Row key={key} line={lines[i]!} on={i === open} marked={marked} onToggle={() => set({ row: i === open ? '' : key }, true)} />;
      }}
      detail={() => (open === undefined ? null : <Opened line={lines[open]!} streamLabels={streamLabels} />)}
    />
  );
}

function Row({ line, on, marked, onToggle }: { line: Line; on: boolean; marked: string[]; onToggle: () => void }) {
  const { labels, level } = line;
  const trace = traceOf(labels);
  const service = serviceOf(labels);
  const entity = JSON.stringify({ trace, service: service || undefined, at: line.at, name: `${service} ${format.time(line.at)}` });
  return (
    <div role="button" class={`log ${level} ${on ? 'on' : ''}`} data-row="" data-entity={entity} tabIndex={0} aria-expanded={on} onClick={onToggle} onKeyDown={onEnter(onToggle)}>
      <span class={`lv ${level}`} />
      <span class="num faint">{format.milli(line.at)}</span>
      <span class="lvt">{SHORT[level]}</span>
      <span class="svc clip">{service}</span>
      <code class="clip">
        <Marked text={line.text.slice(0, 2000).split('\n')[0]!} words={marked} />
      </code>
      <span class="faint" title={trace && w.hasTrace()}>{trace && '⌁'}</span>
    </div>
  );
}

/** Text in which what was looked for is marked. */
export function Marked({ text, words }: { text: string; words: string[] }) {
  if (words.length === 0) return <>{text}</>;
  const pattern = new RegExp(`(${words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})`, 'gi');
  return <>{text.split(pattern).map((part, i) => (i % 2 ? <mark key={i}>{part}</mark> : part))}</>;
}

/** JSON is laid out; everything else is shown as it came. */
function pretty(text: string): string {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function Opened({ line, streamLabels }: { line: Line; streamLabels: ReadonlySet<string> }) {
  const [near, setNear] = useState(false);
  const trace = traceOf(line.labels);
  const fields: [string, string][] = [['timestamp', new Date(line.at).toISOString()], ...Object.entries(line.labels).sort(([a], [b]) => (a < b ? -1 : 1))];
  const json = JSON.stringify({ timestamp_ns: line.ns, line: line.text, ...line.labels });
  return (
    <div class="log-open">
      <pre class="well">{pretty(line.text)}</pre>
      <div class="line">
        {trace && <a class="btn small" href={href('trace', { id: trace })}>{w.trace()}</a>}
        <button type="button" class="btn small" aria-pressed={near} onClick={() => setNear(!near)}>{w.around()}</button>
        <button type="button" class="btn small" onClick={() => void copy(json)}>{w.copyJson()}</button>
        <CopyButton text={line.text} />
      </div>
      {near ? <Near line={line} streamLabels={streamLabels} /> : <Fields fields={fields} />}
    </div>
  );
}

const Fields = ({ fields }: { fields: [string, string][] }) => (
  <dl class="kv fields">
    {fields.map(([key, value]) => (
      <div key={key}>
        <dt><code>{key}</code></dt>
        <dd>
          <code>{value}</code>
          {key !== 'timestamp' && (
            <span class="pm">
              <button type="button" title={w.include()} aria-label={`${w.include()} ${key}`} onClick={() => toggle(key, value, false)}>+</button>
              <button type="button" title={w.exclude()} aria-label={`${w.exclude()} ${key}`} onClick={() => toggle(key, value, true)}>−</button>
            </span>
          )}
        </dd>
      </div>
    ))}
  </dl>
);

function Near({ line, streamLabels }: { line: Line; streamLabels: ReadonlySet<string> }) {
  const own = Object.entries(line.labels).filter(([key]) => streamLabels.has(key));
  const selector = `{${own.map(([key, value]) => `${key}=${quote(value)}`).join(', ')}}`;
  const loaded = useLoad(`near ${line.ns} ${selector}`, (signal) => around(line, selector, signal));
  return (
    <Panel of={loaded}>
      {(lines) => (
        <div class="near">
          {lines.map((one, i) => (
            <div key={i} class={one === line ? 'on' : ''}>
              <span class="num faint">{format.milli(one.at)}</span>
              <span class={`lv ${one.level}`} />
              <code class="clip">{one.text.split('\n')[0]}</code>
            </div>
          ))}
        </div>
      )}
    </Panel>
  );
}
