// What was looked at, source by source, and what was ruled out.
import { format, Glyph, Meter, Section, Table } from '../../core';
import { SOURCES, waitingFor, type Answers, type RuledOut, type Source, type SourceAnswer } from './model';
import { w } from './words';

const COUNTED: Record<Source, (values: { n: string }) => string> = { changes: w.changesOf, spans: w.valuesOf, patterns: w.patternsOf, metrics: w.seriesOf };

export function Side({ answers, loading }: { answers: Answers; loading: boolean }) {
  const now = loading ? waitingFor(answers) : undefined;
  return (
    <>
      <Section title={w.lookedAt()}>
        <dl class="kv">
          {SOURCES.map((source) => (
            <div key={source}>
              <dt>{w[source]()}</dt>
              <dd>
                <State source={source} answer={answers.sources[source]} isNow={now === source} isOver={!loading} />
              </dd>
            </div>
          ))}
          {answers.all && (
            <div>
              <dt>{w.took()}</dt>
              <dd class="num">{format.duration(answers.all.stats.ms)}</dd>
            </div>
          )}
        </dl>
      </Section>
      <Out all={Object.values(answers.sources).flatMap((one) => one.ruled_out ?? [])} />
    </>
  );
}

function State({ source, answer, isNow, isOver }: { source: Source; answer: SourceAnswer | undefined; isNow: boolean; isOver: boolean }) {
  if (!answer && isOver) return <><Glyph state="dead" label={w.failed()} /> {w.failed()}</>;
  if (!answer) return <span class="faint">{isNow ? `◐ ${w.looking()}` : `○ ${w.waiting()}`}</span>;
  if (answer.error !== undefined) return <><Glyph state="dead" label={w.failed()} /> {answer.error}</>;
  return (
    <>
      {COUNTED[source]({ n: format.int(answer.looked_at ?? 0) })}
      {answer.left_out && <><br /><Glyph state="warn" /> {answer.left_out}</>}
    </>
  );
}

function Out({ all }: { all: RuledOut[] }) {
  if (all.length === 0) return null;
  return (
    <details class="sec out">
      <summary>
        <h2>{w.ruledOut()} <span class="count">{all.length}</span></h2>
        <span class="faint">{w.ruledOutWhy()}</span>
      </summary>
      <Table
        label={w.ruledOut()} rows={all} rowKey={(one, i) => `${one.name} ${i}`}
        columns={[
          { head: w.metric(), class: 'clip', cell: (one) => <code title={one.name}>{one.name}</code> },
          { head: 'D', class: 'num', cell: (one) => one.distance.toFixed(2) },
          { head: w.critical(), class: 'num', cell: (one) => one.critical.toFixed(2) },
          { head: '', cell: (one) => <Meter share={one.distance} state="plain" class="w48" /> },
        ]}
      />
    </details>
  );
}
