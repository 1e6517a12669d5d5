// The evidence: a row for each finding, or a table of them.
import { asTables, go, href, Meter, onEnter, Table, useState } from '../../core';
import { evidenceOf, formulaOf, type Finding, type Question } from './model';
import { Picture } from './picture';
import { say } from './say';
import { w } from './words';

const SHOWN = 12;

export function Evidence({ findings, question }: { findings: Finding[]; question: Question }) {
  const [isLong, setLong] = useState(false);
  if (asTables.value) return <EvidenceTable findings={findings} question={question} />;
  const hidden = isLong ? 0 : Math.max(0, findings.length - SHOWN);
  return (
    <>
      <ol class="evidence" aria-label={w.list()}>
        {findings.slice(0, findings.length - hidden).map((finding, i) => (
          <Row key={keyOf(finding)} finding={finding} question={question} rank={i + 1} />
        ))}
      </ol>
      {hidden > 0 && <button type="button" class="btn small" onClick={() => setLong(true)}>{w.more({ n: hidden })}</button>}
    </>
  );
}

const keyOf = ({ kind, name, value, query }: Finding) => [kind, name, value, query].join(' ');

function Row({ finding, question, rank }: { finding: Finding; question: Question; rank: number }) {
  const { screen, q } = evidenceOf(finding, question);
  const { figures, what, more } = say(finding);
  const open = () => go(screen, q);
  const onClick = (event: MouseEvent) => !(event.target as Element).closest('a') && !getSelection()?.toString() && open();
  return (
    <li data-row="" tabIndex={0} onClick={onClick} onKeyDown={onEnter(open)}>
      <span class="num no">{rank}</span>
      <div class="sc">
        <b class="num">{finding.score.toFixed(2)}</b>
        <Meter share={finding.score} state="sel" />
      </div>
      <div>
        <p>
          <span class="tag">{w[finding.kind]()}</span> <b class="strong">{figures}</b> <code>{what}</code>
        </p>
        <p class="faint under-said">
          {more && <>{more} · </>}
          <code title={finding.formula}>{formulaOf(finding, question)}</code>
        </p>
      </div>
      <Picture finding={finding} question={question} />
      <a class="link" href={href(screen, q)}>{w.evidence()}</a>
    </li>
  );
}

function EvidenceTable({ findings, question }: { findings: Finding[]; question: Question }) {
  const open = (finding: Finding) => {
    const { screen, q } = evidenceOf(finding, question);
    go(screen, q);
  };
  return (
    <Table
      label={w.list()} rows={findings} rowKey={keyOf} onRow={open}
      columns={[
        { head: w.rank(), class: 'num', cell: (_, i) => i + 1 },
        { head: w.score(), class: 'num', sort: true, cell: (one) => <b>{one.score.toFixed(2)}</b> },
        { head: w.kind(), class: 'nowrap', cell: (one) => w[one.kind]() },
        { head: w.figures(), class: 'nowrap', cell: (one) => say(one).figures },
        { head: w.what(), class: 'clip', cell: (one) => <code title={say(one).more}>{say(one).what}</code> },
        { head: w.formula(), class: 'nowrap lo', cell: (one) => <code class="faint">{formulaOf(one, question)}</code> },
      ]}
    />
  );
}
