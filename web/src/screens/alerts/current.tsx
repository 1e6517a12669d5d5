// What fires now, by the group of its rule, and what rang within a day.
import { CopyButton, Empty, format, Glyph, go, LEAD_MS, onEnter, Panel, range, Section, shapeOf, toast, useLoad, WhyLink, type State } from '../../core';
import { endSilence, history, matchersOf, rowsOf, silence, type Everything, type Row } from './data';
import { w } from './words';

const HOUR_MS = 3_600_000;

export function Current({ all, onChange }: { all: Everything; onChange: () => void }) {
  const groups = rowsOf(all);
  const rules = all.groups.reduce((sum, group) => sum + group.rules.length, 0);
  return (
    <>
      {groups.length === 0 && (rules === 0 ? <NoRules /> : <Empty title={w.quiet()} why={w.quietWhy({ n: rules })} />)}
      {groups.map(({ title, rows }) => (
        <section key={title} class="sec agroup">
          <header>
            <h2>{title || w.external()}</h2>
            <span class="faint">{w.count({ n: rows.length })}</span>
          </header>
          {rows.map((row, i) => (
            <Line key={row.name + i} row={row} onChange={onChange} />
          ))}
        </section>
      ))}
      {rules > 0 && <History />}
    </>
  );
}

export function NoRules() {
  const rule = 'name: first\\nrules:\\n- alert: TargetDown\\n  expr: up == 0\\n  for: 1m\\n';
  const command = `printf '${rule}' | curl --data-binary @- -H 'content-type: application/yaml' \\\n  ${new URL('../config/v1/rules/mine', location.href).href}`;
  return (
    <Empty title={w.noRules()} why={w.noRulesWhy()}>
      <pre class="well">{command}</pre>
      <CopyButton text={command} />
    </Empty>
  );
}

const stateOf = (row: Row): State => (row.state === 'firing' ? row.level : row.state === 'pending' ? 'wait' : 'pause');

function Line({ row, onChange }: { row: Row; onChange: () => void }) {
  const state = stateOf(row);
  const open = () => (row.query ? go('metrics', { tab: 'query', expr: row.query }) : go('alerts'));
  const labels = Object.entries(row.labels).filter(([key]) => key !== 'alertname');
  return (
    <div class={`alert ${row.state}`} data-row="" tabIndex={0} role="link" data-entity={JSON.stringify({ service: row.labels.service, name: row.name, at: row.since })} onClick={open} onKeyDown={onEnter(open)}>
      <Glyph state={state} />
      <div>
        <h3>
          {row.name}{' '}
          <span class={`tag ${row.state === 'firing' ? row.level : ''}`}>
            {shapeOf(state)} {w[row.state]()}
          </span>
        </h3>
        <p class="dim clip" title={labels.map((pair) => pair.join('=')).join('\n')}>{row.summary || labels.map((pair) => pair.join('=')).join(' · ')}</p>
      </div>
      <div class="val num">{Number.isFinite(row.value) && <b>{format.si(row.value)}</b>}</div>
      <div>
        <StateBar row={row} />
        <span class="faint num">{w.since({ at: format.time(row.since), span: format.span(Date.now() - row.since) })}</span>
      </div>
      <div class="line"><WhyLink from={row.since - LEAD_MS} to={Math.max(range.value.to, row.since + 1)} service={row.labels.service ?? ''} />{row.state !== 'silenced' && <SilenceButton row={row} onChange={onChange} />}</div>
    </div>
  );
}

/** Empty, outlined while pending, filled while firing. */
function StateBar({ row }: { row: Row }) {
  const { from, to } = range.value;
  const fired = row.since + row.before;
  const at = (ms: number) => `${Math.min(100, Math.max(0, (100 * (ms - from)) / (to - from)))}%`;
  return (
    <div class="statebar" role="img" aria-label={w.barLabel({ a: format.time(row.since), b: format.time(fired) })}>
      <i class="wait" style={{ left: at(row.since), right: '0' }} />
      {row.state === 'firing' && <i class={row.level} style={{ left: at(fired), right: '0' }} />}
    </div>
  );
}

function SilenceButton({ row, onChange }: { row: Row; onChange: () => void }) {
  const act = async (event: MouseEvent) => {
    event.stopPropagation();
    try {
      const id = await silence(matchersOf(row.labels), HOUR_MS, row.name);
      const undo = () => void endSilence(id).then(() => toast(w.undone())).then(onChange);
      toast(w.silenceDone({ name: row.name }), `~${format.time(Date.now() + HOUR_MS)}`, { text: w.undo(), act: undo });
    } catch (error) {
      toast(w.failed(), String((error as Error).message));
    }
    onChange();
  };
  return (
    <button type="button" class="btn small" onClick={(event) => void act(event)}>
      {w.silence()}
    </button>
  );
}

function History() {
  const to = range.value.to;
  const from = to - 86_400_000;
  const loaded = useLoad(`history ${Math.floor(to / 60_000)}`, (signal) => history(to, signal));
  const at = (ms: number) => (100 * (ms - from)) / (to - from);
  return (
    <Panel of={loaded} height={60}>
      {(all) => all.length > 0 && (
        <Section title={w.history()} right={w.historyNote()}>
          <div class="hist">
            {all.map((one) => (
              <div key={one.name + one.level}>
                <span class="clip">{one.name}</span>
                <div class="lane">
                  {one.runs.map((run) => (
                    <i key={run.from} class={one.level} style={{ left: `${Math.max(0, at(run.from))}%`, width: `${Math.max(0.4, at(run.to) - Math.max(0, at(run.from)))}%` }} title={`${format.time(run.from)}–${format.time(run.to)}`} />
                  ))}
                </div>
                <span class="num faint">{w.times({ n: one.runs.length })}</span>
              </div>
            ))}
          </div>
        </Section>
      )}
    </Panel>
  );
}
