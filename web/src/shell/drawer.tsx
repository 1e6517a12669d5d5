// The drawer: one service in figures, beside whatever screen is open. `drawer=service:NAME` in the URL.
import { quote, queryRange } from '../core/api';
import { LineChart, type Line } from '../core/charts';
import * as format from '../core/format';
import { useLoad } from '../core/load';
import { IconButton, Panel } from '../core/parts';
import { stepFor } from '../core/time';
import { href, route, set } from '../core/url';
import { range, writeFilters } from '../core/view';
import { ENTRY } from './horizon-data';
import { w } from './words';

export function Drawer() {
  const [kind, ...rest] = (route.value.q.drawer ?? '').split(':');
  const name = rest.join(':');
  return kind === 'service' && name ? <ServiceDrawer name={name} /> : null;
}

function ServiceDrawer({ name }: { name: string }) {
  const { from, to } = range.value;
  const step = Math.max(15_000, stepFor({ from, to }, 80));
  const loaded = useLoad(`${name} ${Math.floor(to / step)} ${to - from}`, async (signal) => {
    const of = `${ENTRY},service=${quote(name)}`;
    const rate = `[${Math.max(60, step / 1000)}s]`;
    const calls = `sum(rate(traces_spanmetrics_calls_total{${of}}${rate}))`;
    const failed = `sum(rate(traces_spanmetrics_calls_total{${of},status_code="STATUS_CODE_ERROR"}${rate}))`;
    const queries = [calls, `100 * (${failed} or vector(0)) / ${calls}`, `1000 * histogram_quantile(0.95, sum by (le) (rate(traces_spanmetrics_latency_bucket{${of}}${rate})))`];
    return Promise.all(queries.map(async (query) => (await queryRange(query, from, to, step, { signal }))[0]?.points ?? []));
  });
  const f = writeFilters([{ key: 'service', value: name }]);
  const charts: [string, string, format.Unit][] = [
    [w.rate(), 'ok', (n) => w.perSecond({ n: format.si(n) })],
    [w.errors(), 'crit', format.percent],
    [w.p95(), 'c1', format.duration],
  ];
  return (
    <aside class="drawer" aria-label={w.drawer({ name })}>
      <header>
        <div class="line">
          <h2>{name}</h2>
          <div class="grow" />
          <a class="btn small" href={href('traces', { f, drawer: '' })}>
            {w.traces()}
          </a>
          <a class="btn small" href={href('logs', { f, drawer: '' })}>
            {w.logs()}
          </a>
          <IconButton icon="close" title={w.close()} onClick={() => set({ drawer: '' })} />
        </div>
      </header>
      <div class="body">
        <Panel of={loaded} height={420}>
          {(all) =>
            charts.map(([title, color, unit], i) => {
              const line: Line = { name: '', points: all[i]!, color, fill: true };
              return <LineChart key={title} title={title} lines={[line]} from={from} to={to} step={step} unit={unit} />;
            })
          }
        </Panel>
      </div>
    </aside>
  );
}
