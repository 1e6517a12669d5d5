// Selection and baseline on the time they are of; a range that is dragged becomes either.
import { asTables, format, LineChart, menuAt, set, useLoad, useMemo, type Brush } from '../../core';
import { p95 } from './data';
import type { Question } from './model';
import { w } from './words';

const HEIGHT = 148;

export function Chart({ question }: { question: Question }) {
  const { selection, baseline, service } = question;
  // A little more to the right, so that the end of the selection is seen.
  const whole = { from: baseline.from, to: selection.to + (selection.to - baseline.from) / 40 };
  const loaded = useLoad(`p95 ${service} ${whole.from} ${whole.to}`, (signal) => p95(whole, service, signal));
  const selected = useMemo((): Brush => ({ t0: selection.from, t1: selection.to, y0: 0, y1: 1 }), [selection.from, selection.to]);
  const at = (ms: number) => `${(100 * (ms - whole.from)) / (whole.to - whole.from)}%`;
  return (
    <div class="exp-chart">
      <LineChart
        title={service ? w.chart({ service }) : w.chartAll()} note={w.chartNote()} height={HEIGHT} unit={format.duration}
        lines={[{ name: service, points: loaded.data?.points ?? [], color: 'ok', fill: true }]} {...whole} step={loaded.data?.step ?? 15_000}
        limits={[{ value: 3000, level: 'warn' }, { value: 8000, level: 'crit' }]} selected={selected} onBrush={choose(question)}
      />
      {!asTables.value && (
        <div class="base" style={{ left: at(baseline.from), width: `calc(${at(baseline.to)} - ${at(baseline.from)})` }}>
          <span>{w.baseline({ span: format.span(baseline.to - baseline.from) })}</span>
        </div>
      )}
    </div>
  );
}

/** A baseline lies before its selection. */
const choose = ({ selection }: Question) => (brush: Brush, at: { x: number; y: number }) => {
  const [from, to] = [Math.round(brush.t0), Math.round(brush.t1)];
  const explain = { text: w.asSelection(), act: () => set({ from: String(from), to: String(to), baseline_from: '', baseline_to: '' }) };
  const compare = { text: w.asBaseline(), act: () => set({ baseline_from: String(from), baseline_to: String(Math.min(to, selection.from)) }) };
  menuAt(at.x, at.y, from < selection.from ? [explain, compare] : [explain], `${w.this()} ${format.time(from)} – ${format.time(to)}`);
};
