// Explain: what differs between a selection and its baseline, ranked, with the formula and the evidence of each.
import {
  Criterion, Empty, Failure, filterOf, format, href, isRelative, Partial, range, route, set, setWindow, Skeleton, useEffect,
} from '../../core';
import { Chart } from './chart';
import { useExplained, type Explained } from './data';
import { lookedAt, questionOf, rankedOf, SOURCES, waitingFor, type Answers, type Question } from './model';
import { Evidence } from './rows';
import { lead } from './say';
import { Side } from './side';
import { w } from './words';

export default function Explain() {
  // A window that follows the clock is fixed: what is explained has an end.
  const isOpen = isRelative.value;
  useEffect(() => {
    if (isOpen) setWindow(range.value, true);
  }, [isOpen]);
  return isOpen ? <Skeleton height={400} /> : <Whole question={questionOf(route.value.q, range.value, filterOf('service') ?? '')} />;
}

function Whole({ question }: { question: Question }) {
  const explained = useExplained(question);
  const { answers, error, retry } = explained;
  const findings = rankedOf(answers);
  const isEmpty = answers.all !== undefined && findings.length === 0;
  return (
    <>
      <ExplainBar question={question} />
      <Chart question={question} />
      {error && <Failure error={error} retry={retry} />}
      <Partial stats={answers.all && { scanned: 0, ...answers.all.stats, warnings: missing(answers) }} />
      {!(error && findings.length === 0) && <div class={explained.isOld ? 'cols explain stale' : 'cols explain'}>
        <div>
          {isEmpty ? <Nothing answers={answers} /> : <Found explained={explained} question={question} />}
          <Criterion name={w.rule()}>{w.ruleText()}</Criterion>
        </div>
        <div>
          <Side answers={answers} loading={explained.loading} />
        </div>
      </div>}
    </>
  );
}

const missing = ({ sources }: Answers) => SOURCES.filter((source) => sources[source]?.error !== undefined).map((source) => `${w[source]()}: ${sources[source]!.error}`);

function ExplainBar({ question }: { question: Question }) {
  const { q, service } = question;
  return (
    <div class="bar">
      <h1>{w.title()}</h1>
      <span class="tag">{service || w.all()}</span>
      {q ? (
        <>
          <code class="clip" title={q}>{q}</code>
          <button type="button" class="btn small" onClick={() => set({ q: '' })}>{w.clearQuery()}</button>
        </>
      ) : (
        <span class="note clip">{w.about()}</span>
      )}
      <div class="grow" />
      {route.value.q.baseline_from && <button type="button" class="btn small" onClick={() => set({ baseline_from: '', baseline_to: '' })}>{w.defaultBaseline()}</button>}
    </div>
  );
}

function Found({ explained, question }: { explained: Explained; question: Question }) {
  const { answers, loading, isOld } = explained;
  const findings = rankedOf(answers);
  const now = loading && !isOld ? waitingFor(answers) : undefined;
  const { selection, baseline } = question;
  const out = Object.values(answers.sources).reduce((sum, one) => sum + (one.ruled_out?.length ?? 0), 0);
  const counts = { span: format.span(selection.to - selection.from), base: format.span(baseline.to - baseline.from), n: findings.length, out };
  if (!findings[0]) return loading ? <><p class="say" role="status">{w.comparing({ what: now ? w[now]() : '' })}</p><Skeleton height={240} /></> : null;
  return (
    <>
      <div class="lead">
        <div>
          <h1>{lead(findings[0])}</h1>
          <p role="status">{now ? w.soFar({ n: findings.length, what: w[now]() }) : w.compared(counts)}</p>
        </div>
      </div>
      <Evidence findings={findings} question={question} />
    </>
  );
}

function Nothing({ answers }: { answers: Answers }) {
  const n = lookedAt(answers);
  return (
    <Empty title={n > 0 ? w.none() : w.nothing()} why={n > 0 ? w.noneWhy({ n: format.int(n) }) : w.nothingWhy()}>
      <a class="btn primary" href={href('traces')}>{w.toTraces()}</a>
    </Empty>
  );
}
