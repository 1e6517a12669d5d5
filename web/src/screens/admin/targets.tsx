// What is scraped, and why something is not.
import { CopyButton, Empty, format, Glyph, Panel, prom, range, Table, useLoad, type Labels, type State } from '../../core';
import { w } from './words';

interface Target {
  scrapePool: string;
  scrapeUrl: string;
  health: 'up' | 'down' | 'unknown';
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  labels: Labels;
}
interface Answer {
  activeTargets: Target[];
  droppedTargetCounts?: Record<string, number>;
}

const STATES: Record<Target['health'], State> = { up: 'ok', down: 'crit', unknown: 'wait' };
const RANK = { down: 0, unknown: 1, up: 2 };

export function Targets() {
  const loaded = useLoad(`targets ${Math.floor(range.value.to / 10_000)}`, (signal) => prom<Answer>('targets', {}, { signal }));
  return <Panel of={loaded} height={300}>{(all) => (all.activeTargets.length === 0 ? <None /> : <List all={all} />)}</Panel>;
}

function None() {
  const command = 'mirador serve --prometheus-config prometheus.yml';
  return (
    <Empty title={w.noTargets()} why={w.noTargetsWhy()}>
      <pre class="well">{command}</pre>
      <CopyButton text={command} />
    </Empty>
  );
}

function List({ all }: { all: Answer }) {
  const rows = [...all.activeTargets].sort((a, b) => RANK[a.health] - RANK[b.health] || (a.scrapePool < b.scrapePool ? -1 : 1));
  const down = rows.filter(({ health }) => health === 'down').length;
  const dropped = Object.entries(all.droppedTargetCounts ?? {}).filter(([, n]) => n > 0);
  return (
    <div class="sec">
      <p class="say">
        <Glyph state={down > 0 ? 'crit' : 'ok'} /> <b class="strong">{down > 0 ? w.failing({ n: down }) : w.allUp({ n: rows.length })}</b>
      </p>
      <Table
        label={w.targets()} rows={rows} rowKey={(one, i) => one.scrapePool + one.scrapeUrl + i}
        columns={[
          { head: '', cell: (one) => <Glyph state={STATES[one.health]} label={w[one.health]()} /> },
          { head: w.pool(), class: 'nowrap', cell: (one) => <b class="strong">{one.scrapePool}</b> },
          { head: w.target(), class: 'nowrap', cell: (one) => <code title={Object.entries(one.labels).map((pair) => pair.join('=')).join('\n')}>{one.labels.instance ?? one.scrapeUrl}</code> },
          { head: w.why(), class: 'clip', cell: (one) => <span class="t-crit" title={one.lastError}>{one.lastError}</span> },
          { head: w.last(), class: 'nowrap lo', cell: (one) => <span class="num faint">{one.lastScrape.startsWith('0001') ? '–' : format.time(Date.parse(one.lastScrape))}</span> },
          { head: w.took(), class: 'num', cell: (one) => format.duration(one.lastScrapeDuration * 1000) },
        ]}
      />
      {dropped.length > 0 && <p class="hint">{w.dropped({ list: dropped.map(([pool, n]) => `${pool} ${n}`).join(', ') })}</p>}
    </div>
  );
}
