// Metrics: cards of all, one of them, or a query.
import { Icon, Panel, range, route, Segments, set, useEffect, useLoad, useState } from '../../core';
import { Cards } from './cards';
import { families } from './data';
import { Editor } from './editor';
import { OneMetric } from './one';
import { w } from './words';

const TYPING_MS = 200;

export default function Metrics() {
  const { q } = route.value;
  const window = range.value;
  const all = useLoad(`families ${Math.floor(window.to / 60_000)} ${window.to - window.from}`, (signal) => families(window, signal));
  const isQuery = q.tab === 'query' || q.expr !== undefined;
  return (
    <>
      <div class="bar">
        <h1>{w.title()}</h1>
        <Segments
          label={w.title()} value={isQuery ? 'query' : 'cards'} onPick={(value) => set({ tab: value === 'query' ? 'query' : '', expr: '', m: '', by: '', view: '' })}
          items={[{ value: 'cards', text: w.all() }, { value: 'query', text: 'PromQL' }]}
        />
        {!isQuery && <Find value={q.find ?? ''} />}
      </div>
      {isQuery ? <Editor names={(all.data ?? []).map(({ name, kind }) => (kind === 'histogram' ? `${name}_bucket` : name))} /> : q.m ? <Panel of={all} height={400}>{(list) => <OneMetric name={q.m!} families={list} />}</Panel> : <Cards families={all} />}
    </>
  );
}

/** What is typed takes effect a moment after the last key. */
function Find({ value }: { value: string }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(() => set({ find: text, m: '' }, true), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <div class="query">
      <Icon name="search" />
      <input data-query value={text} placeholder={w.find()} aria-label={w.findLabel()} spellcheck={false} onInput={(event) => setText(event.currentTarget.value)} />
    </div>
  );
}
