// One span: its times, its statement, its lines, where it ran, what its sender said of it.
import { CopyButton, format, Glyph, href, levelOf, Section, type State } from '../../core';
import type { TraceLine } from './data';
import { attributeOf, sqlOf, type Span, type Trace } from './model';
import { w } from './words';

const WORDS = /(\b(?:SELECT|INSERT|INTO|VALUES|UPDATE|SET|DELETE|FROM|WHERE|AND|OR|JOIN|ON|GROUP|ORDER|BY|LIMIT|DESC|ASC)\b|\$\d*|\?)/i;
const Sql = ({ text }: { text: string }) => (
  <pre class="well">{text.split(WORDS).map((part, i) => (i % 2 === 0 ? part : /^[$?]/.test(part) ? <span key={i} class="sqlvalue">{part}</span> : <b key={i}>{part}</b>))}</pre>
);

export function Detail({ trace, span, lines }: { trace: Trace; span: Span; lines: TraceLine[] }) {
  const state: State = span.failed ? 'crit' : levelOf(span.ms);
  const sql = sqlOf(span);
  const own = lines.filter((line) => line.span === span.id);
  return (
    <aside class="span" aria-label={span.name}>
      <div class="line">
        <Glyph state={state} />
        <h2 class="strong clip" title={span.name}>{span.name}</h2>
        <div class="grow" />
        <span class="tag">{span.kind || 'INTERNAL'}</span>
      </div>
      <div class="line figures">
        <Figure name={w.stepTime()} text={format.duration(span.ms)} />
        <Figure name={w.selfTime()} text={format.duration(span.self)} />
        <Figure name={w.ofTrace()} text={format.percent((100 * span.ms) / (trace.ms || 1)).replace('%', ' %')} />
      </div>
      {span.failed && <p class="banner crit"><Glyph state="crit" />{span.message || w.failed()}</p>}
      {sql !== undefined && (
        <Section title="SQL" right={<><CopyButton text={sql} label={w.sqlCopy()} /><SameSql span={span} sql={sql} /></>}>
          <Sql text={sql} />
        </Section>
      )}
      {lines.length > 0 && (
        <Section title={w.logs()}>
          {own.length === 0 ? <p class="hint">{w.noSpanLogs()}</p> : own.slice(0, 6).map((line, i) => <LogLine key={i} line={line} two />)}
        </Section>
      )}
      {span.events.length > 0 && (
        <Section title={w.events()}>
          {span.events.slice(0, 20).map((event, i) => (
            <div key={i} class="tl two">
              <span class="lv info" />
              <span class="num faint">+{format.duration(event.at - span.start)}</span>
              <code class="clip" title={event.attributes.map((pair) => pair.join('=')).join('\n')}>{event.name} {event.attributes.map(([, value]) => value).join(' ')}</code>
            </div>
          ))}
        </Section>
      )}
      <Pairs title={w.attributes()} pairs={span.attributes} scope="span" />
      <Pairs title={w.resource()} pairs={span.resource} scope="resource" />
    </aside>
  );
}

const Figure = ({ name, text }: { name: string; text: string }) => {
  const [value, unit] = text.split(' ');
  return (
    <div class="figure">
      <span>{name}</span>
      <b>{value}<small>{unit}</small></b>
    </div>
  );
};

const inQuery = (value: string) => `"${value.replace(/[\\"]/g, '\\$&')}"`;

function SameSql({ span, sql }: { span: Span; sql: string }) {
  const key = attributeOf(span, 'db.query.text') === undefined ? 'db.statement' : 'db.query.text';
  return <a class="btn small" href={href('traces', { q: `{ span.${key} = ${inQuery(sql)} }` })}>{w.sameSql()}</a>;
}

/** Keys that TraceQL takes without quotes. */
const nameOf = (scope: string, key: string) => (/^[\w.]+$/.test(key) ? `${scope}.${key}` : `${scope}.${inQuery(key)}`);

function Pairs({ title, pairs, scope }: { title: string; pairs: [string, string][]; scope: string }) {
  if (pairs.length === 0) return null;
  return (
    <Section title={title}>
      <dl class="kv attrs">
        {pairs.map(([key, value]) => (
          <div key={key}>
            <dt><code>{key}</code></dt>
            <dd>
              <a class="quiet" title={w.findWith()} href={href('traces', { q: `{ ${nameOf(scope, key)} = ${/^-?\d+(\.\d+)?$/.test(value) ? value : inQuery(value)} }` })}>
                <code>{value}</code>
              </a>
            </dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}

export const LogLine = ({ line, two = false }: { line: TraceLine; two?: boolean }) => (
  <div class={two ? 'tl two' : 'tl'}>
    <span class={`lv ${line.level}`} />
    <span class="num faint">{format.milli(line.at)}</span>
    {!two && <span class="svc dim clip">{line.service}</span>}
    <code class="clip" title={line.text}>{line.text.split('\n')[0]}</code>
  </div>
);
