// Choosing the window: presets, ends, or a time as it was pasted.
import { useState } from 'preact/hooks';
import { clockSkew } from '../core/api';
import * as format from '../core/format';
import { closeTop, openAt } from '../core/overlays';
import { parseMoment, parseSpan, parseWindow } from '../core/time';
import { fromText, isRelative, range, setLast, setWindow } from '../core/view';
import { w } from './words';

const PRESETS = ['5m', '10m', '30m', '1h', '3h', '6h', '12h', '24h', '3d', '7d', '30d'];

export function openTime(anchor: Element): void {
  openAt(anchor, () => <TimeBox />, true);
}

function TimeBox() {
  const { from, to } = range.value;
  const [pasted, setPasted] = useState('');
  const [ends, setEnds] = useState([format.stamp(from), format.stamp(to)]);
  const [wrong, setWrong] = useState(false);
  const take = (window: { from: number; to: number } | undefined) => {
    setWrong(!window);
    if (!window) return;
    closeTop();
    setWindow(window);
  };
  const takePasted = () => {
    const last = /^(?:now-)?((?:\d+(?:ms|[smhdw]))+)$/.exec(pasted.trim());
    if (last && parseSpan(last[1]!) > 0) {
      closeTop();
      setLast(`now-${last[1]}`);
    } else take(parseWindow(pasted, Date.now()));
  };
  const takeEnds = () => {
    const [a, b] = ends.map((text) => parseMoment(text, Date.now()));
    take(a! < b! ? { from: a!, to: b! } : undefined);
  };
  const enter = (act: () => void) => (event: KeyboardEvent) => event.key === 'Enter' && !event.isComposing && act();
  const end = (i: number, label: string) => (
    <label>
      {label}
      <input class="input mono" value={ends[i]} onInput={(e) => setEnds(ends.map((old, k) => (k === i ? e.currentTarget.value : old)))} onKeyDown={enter(takeEnds)} />
    </label>
  );
  return (
    <div class="pop time" role="dialog" aria-label={w.pickTime()}>
      <label>
        {w.paste()}
        <input class="input" data-focus placeholder={w.pasteExample()} value={pasted} onInput={(e) => setPasted(e.currentTarget.value)} onKeyDown={enter(takePasted)} />
      </label>
      {wrong && (
        <p class="t-crit" role="alert">
          {w.pasteWrong()}
        </p>
      )}
      <Presets />
      <div class="abs">
        {end(0, w.from())}
        {end(1, w.to())}
      </div>
      <div class="line">
        <Zone />
        <button type="button" class="btn" onClick={pasted ? takePasted : takeEnds}>
          {w.apply()}
        </button>
      </div>
    </div>
  );
}

function Presets() {
  const take = (text: string) => () => {
    closeTop();
    setLast(`now-${text}`);
  };
  return (
    <div class="presets" role="group" aria-label={w.presets()}>
      {PRESETS.map((text) => (
        <button key={text} type="button" aria-pressed={isRelative.value && fromText.value === `now-${text}`} onClick={take(text)}>
          {format.span(parseSpan(text))}
        </button>
      ))}
    </div>
  );
}

/** Headers tell whole seconds: less is no difference. */
const SKEW_SHOWN_MS = 1500;

function Zone() {
  const skew = clockSkew.value;
  return (
    <p class="hint grow">
      {w.zone({ zone: Intl.DateTimeFormat().resolvedOptions().timeZone })}
      {skew !== undefined && Math.abs(skew) >= SKEW_SHOWN_MS && w.skew({ skew: (skew / 1000).toFixed(1) })}
    </p>
  );
}
