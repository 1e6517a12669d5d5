// Alerts: what fires, the rules, the silences.
import { format, go, Glyph, Panel, parseSpan, range, route, Section, set, Table, Tabs, toast, useLoad, useState } from '../../core';
import { Current, NoRules } from './current';
import { endSilence, everything, matcherText, parseMatchers, rowsOf, silence, type Everything, type Group, type Rule, type Silence } from './data';
import { w } from './words';

export default function Alerts() {
  const { q } = route.value;
  const view = q.tab ?? 'current';
  const loaded = useLoad(`alerts ${Math.floor(range.value.to / 10_000)}`, everything);
  const rows = loaded.data ? rowsOf(loaded.data).flatMap((group) => group.rows) : [];
  const count = (state: string) => rows.filter((row) => row.state === state).length;
  const active = loaded.data?.silences.filter(({ status }) => status.state !== 'expired').length;
  return (
    <>
      <div class="bar">
        <h1>{w.title()}</h1>
        <Tabs
          label={w.view()} value={view} onPick={(value) => set({ tab: value === 'current' ? '' : value })}
          items={[
            { value: 'current', text: w.current(), count: loaded.data && rows.length },
            { value: 'rules', text: w.rules(), count: loaded.data?.groups.reduce((sum, group) => sum + group.rules.length, 0) },
            { value: 'silences', text: w.silences(), count: active },
          ]}
        />
        <div class="grow" />
        {loaded.data && <span class="note">{w.note({ a: count('firing'), b: count('pending'), c: count('silenced') })}</span>}
      </div>
      <Panel of={loaded} height={300}>
        {(all) => (view === 'rules' ? <Rules groups={all.groups} /> : view === 'silences' ? <Silences all={all} onChange={loaded.retry} /> : <Current all={all} onChange={loaded.retry} />)}
      </Panel>
    </>
  );
}

interface Placed extends Rule {
  group: Group;
}
const STATES = { firing: 'crit', pending: 'wait', inactive: 'ok' } as const;

function Rules({ groups }: { groups: Group[] }) {
  const [find, setFind] = useState('');
  const all = groups.flatMap((group) => group.rules.map((rule): Placed => ({ ...rule, group })));
  if (all.length === 0) return <NoRules />;
  const rows = all.filter((rule) => `${rule.name} ${rule.query} ${rule.group.name}`.toLowerCase().includes(find.toLowerCase()));
  const state = (rule: Placed) => (rule.health === 'err' ? 'dead' : (STATES[rule.state as keyof typeof STATES] ?? 'ok'));
  return (
    <div class="sec">
      <input class="input find-rule" data-query placeholder={w.find()} aria-label={w.find()} value={find} onInput={(event) => setFind(event.currentTarget.value)} />
      <Table
        label={w.rules()} rows={rows} rowKey={(rule, i) => `${rule.group.file} ${rule.group.name} ${rule.name} ${i}`} onRow={(rule) => go('metrics', { tab: 'query', expr: rule.query })}
        columns={[
          { head: '', cell: (rule) => <Glyph state={state(rule)} label={rule.health === 'err' ? w.broken() : rule.state ? w[rule.state as 'firing' | 'pending' | 'inactive']() : w.recording()} /> },
          { head: w.name(), class: 'nowrap', cell: (rule) => <b class="strong">{rule.name}</b> },
          { head: w.group(), class: 'nowrap', cell: (rule) => <span class="dim" title={rule.group.file}>{rule.group.name}</span> },
          { head: w.kind(), class: 'nowrap', cell: (rule) => <span class="tag">{w[rule.type]()}</span> },
          { head: w.expr(), class: 'clip', cell: (rule) => (rule.lastError ? <span class="t-crit" title={rule.lastError}>{rule.lastError}</span> : <code title={rule.query}>{rule.query}</code>) },
          { head: w.forHow(), class: 'num lo', cell: (rule) => (rule.duration ? format.span(rule.duration * 1000) : '–') },
          { head: w.evaluated(), class: 'nowrap lo', cell: (rule) => <span class="num faint">{rule.lastEvaluation.startsWith('0001') ? '–' : format.time(Date.parse(rule.lastEvaluation))}</span> },
          { head: w.took(), class: 'num lo', cell: (rule) => format.duration(rule.evaluationTime * 1000) },
        ]}
      />
    </div>
  );
}

const SILENCE_STATES = { active: 'pause', pending: 'wait', expired: 'dead' } as const;
const SHOWN_MAX = 100;

function Silences({ all, onChange }: { all: Everything; onChange: () => void }) {
  const end = async (one: Silence) => {
    try {
      await endSilence(one.id);
      toast(w.ended());
    } catch (error) {
      toast(w.failed(), (error as Error).message);
    }
    onChange();
  };
  const stateText = { active: w.active(), pending: w.silencePending(), expired: w.expired() };
  const rows = [...all.silences].sort((a, b) => Date.parse(b.endsAt) - Date.parse(a.endsAt)).slice(0, SHOWN_MAX);
  return (
    <>
      <NewSilence onChange={onChange} />
      <Section title={w.silences()}>
        {rows.length === 0 ? <p class="hint">{w.noSilences()}</p> : (
          <Table
            label={w.silences()} rows={rows} rowKey={(one) => one.id}
            columns={[
              { head: w.state(), class: 'nowrap', cell: (one) => <><Glyph state={SILENCE_STATES[one.status.state]} label={stateText[one.status.state]} /> {stateText[one.status.state]}</> },
              { head: w.matchers(), class: 'clip', cell: (one) => <code>{one.matchers.map(matcherText).join(', ')}</code> },
              { head: w.until(), class: 'nowrap', cell: (one) => <span class="num">{format.stamp(Date.parse(one.endsAt)).slice(5, 16)}</span> },
              { head: w.by(), class: 'nowrap lo', cell: (one) => one.createdBy },
              { head: w.comment(), class: 'nowrap lo', cell: (one) => <span class="dim">{one.comment.slice(0, 60)}</span> },
              { head: '', class: 'r nowrap', cell: (one) => one.status.state !== 'expired' && <button type="button" class="btn small" onClick={() => void end(one)}>{w.end()}</button> },
            ]}
          />
        )}
      </Section>
    </>
  );
}

function NewSilence({ onChange }: { onChange: () => void }) {
  const [matchers, setMatchers] = useState('');
  const [length, setLength] = useState('1h');
  const [comment, setComment] = useState('');
  const [wrong, setWrong] = useState('');
  const add = async (event: Event) => {
    event.preventDefault();
    const parsed = parseMatchers(matchers);
    const ms = parseSpan(length.trim());
    if (!parsed || !(ms > 0)) return setWrong(w.badMatchers());
    try {
      await silence(parsed, ms, comment);
      setMatchers('');
      setWrong('');
      toast(w.created(), matchers);
    } catch (error) {
      setWrong((error as Error).message);
    }
    onChange();
  };
  return (
    <Section title={w.create()}>
      <form class="newsilence" onSubmit={(event) => void add(event)}>
        <label>{w.matchers()}<input class="input mono" required placeholder={w.matchersHow()} value={matchers} onInput={(event) => setMatchers(event.currentTarget.value)} /></label>
        <label>{w.duration()}<input class="input mono" required placeholder={w.durationHow()} value={length} onInput={(event) => setLength(event.currentTarget.value)} /></label>
        <label>{w.comment()}<input class="input" required value={comment} onInput={(event) => setComment(event.currentTarget.value)} /></label>
        <button type="submit" class="btn primary">{w.add()}</button>
      </form>
      {wrong && <p class="t-crit" role="alert">{wrong}</p>}
    </Section>
  );
}
