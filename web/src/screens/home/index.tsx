// Home: what is wrong right now, in one sentence; then figures, problems, services, and what comes in.
import {
  call, durationFilter, format, go, Glyph, href, lastOf, LEAD_MS, onEnter, Panel, range, Ring, Section, set, shapeOf, SLOW_MS, Spark, Table, useLoad, WhyLink, writeFilters, type Point, type ServiceRed,
} from '../../core';
import { errorLines, intake, load, type Home, type Problem } from './data';
import { w } from './words';

export default function HomeScreen() {
  const window = range.value;
  const loaded = useLoad(`home ${Math.floor(window.to / 10_000)} ${window.to - window.from}`, (signal) => load(window, signal));
  return <Panel of={loaded} height={500}>{(home) => <Whole home={home} />}</Panel>;
}

function Whole({ home }: { home: Home }) {
  return (
    <>
      <Lead home={home} />
      {home.worst && <Goldens worst={home.worst} before={home.before} />}
      <div class="cols home">
        <div>
          <Section title={<>{w.problems()} <span class="count">{home.problems.length}</span></>} right={w.order()}>
            {home.problems.length === 0 ? <p class="hint">{w.noProblems()}</p> : home.problems.map((problem, i) => <Row key={i} problem={problem} />)}
          </Section>
          <Services services={home.red.services} />
        </div>
        <div>
          <Running />
          <Intake />
        </div>
      </div>
    </>
  );
}

/** The sentence is built of measured figures; where nothing is over a threshold it says so. */
function sentence({ worst, slowShare, alerts, red }: Home): string {
  const failing = worst ? lastOf(worst.errors) : 0;
  if (worst && worst.level !== 'ok' && slowShare >= 1 && slowShare >= failing) return w.slow({ service: worst.service, n: Math.round(slowShare) });
  if (worst && worst.level !== 'ok' && failing >= 1) return w.failing({ service: worst.service, n: Math.round(failing) });
  const first = alerts[0]?.labels.alertname;
  if (first) return w.alerting({ n: alerts.length, name: first });
  return red.services.length > 0 ? w.calm() : w.nothing();
}

function Lead({ home }: { home: Home }) {
  const count = (level: string) => home.problems.filter((problem) => problem.level === level).length;
  const services = home.red.services.length;
  const first = home.problems.find(({ service }) => service && service.service === home.worst?.service) ?? home.problems[0];
  const below = home.problems.length > 0 ? w.counts({ crit: count('crit'), warn: count('warn'), services }) : services > 0 ? w.watched({ services }) : w.start();
  return (
    <div class="lead">
      <div>
        <h1>{sentence(home)}</h1>
        <p>{below}</p>
      </div>
      {first && <WhyLink primary {...whyOf(first)} />}
      {home.worst && home.problems.length > 0 && <a class="btn" href={href('traces', ofService(home.worst.service))}>{w.look()}</a>}
    </div>
  );
}

/** What a problem is about, from a little before it began. Of a slow service, its slow spans. */
function whyOf({ service, alert, since }: Problem) {
  const isSlow = service && lastOf(service.p95) >= SLOW_MS;
  return { from: since - LEAD_MS, to: Math.max(range.value.to, since + 1), service: service?.service ?? alert?.labels.service ?? '', q: isSlow ? durationFilter(SLOW_MS) : '' };
}

const ofService = (service: string) => ({ f: writeFilters([{ key: 'service', value: service }]) });

function Goldens({ worst, before }: { worst: ServiceRed; before: Home['before'] }) {
  const window = range.value;
  const lines = useLoad(`error lines ${Math.floor(window.to / 30_000)} ${window.to - window.from}`, (signal) => errorLines(window, signal));
  const p95 = lastOf(worst.p95);
  const errors = lastOf(worst.errors);
  const state = (warn: boolean, crit: boolean) => (crit ? 'crit' : warn ? 'warn' : 'ok');
  return (
    <div class="goldens">
      <Golden name={w.p95({ service: worst.service })} text={format.duration(p95)} past={before.p95} unit={format.duration} points={worst.p95} state={state(p95 >= 3000, p95 >= 8000)} />
      <Golden name={w.traffic()} text={`${format.si(lastOf(worst.rate))} ${w.perSecond()}`} past={before.rate} unit={format.si} points={worst.rate} state="ok" />
      <Golden name={w.errors()} text={format.percent(errors).replace('%', ' %')} past={before.errors} unit={format.percent} points={worst.errors} state={state(errors >= 1, errors >= 5)} />
      {/* How many lines of errors are too many nobody said, so they are told without a verdict. */}
      <Golden name={w.errorLines()} text={`${format.si(lastOf(lines.data ?? []))} ${w.perMinute()}`} past={Number.NaN} unit={format.si} points={lines.data ?? []} state="ok" />
    </div>
  );
}

interface GoldenProps {
  name: string;
  text: string;
  past: number;
  unit: format.Unit;
  points: Point[];
  state: 'ok' | 'warn' | 'crit';
}
function Golden({ name, text, past, unit, points, state }: GoldenProps) {
  const [value, ...rest] = text.split(' ');
  return (
    <div class="golden">
      <div class="figure">
        <span>{name}</span>
        <b class={state === 'crit' ? 't-crit' : state === 'warn' ? 't-warn' : ''}>{value}<small>{rest.join(' ')}</small></b>
        <em>{shapeOf(state)} {Number.isFinite(past) && w.yesterday({ value: unit(past) })}</em>
      </div>
      <Spark points={points} width={150} height={44} color={state} />
    </div>
  );
}

function Row({ problem }: { problem: Problem }) {
  const { alert, service, level, since } = problem;
  const at = w.alertSince({ at: format.time(since), span: format.span(Math.max(0, Date.now() - since)) });
  const open = () => (service ? go('traces', ofService(service.service)) : go('alerts'));
  const slow = service && lastOf(service.p95) >= 3000;
  const figures = service && { service: service.service, p95: format.duration(lastOf(service.p95)), errors: format.percent(lastOf(service.errors)), rate: format.si(lastOf(service.rate)), from: format.time(since) };
  return (
    <div class="problem" data-row="" tabIndex={0} role="link" data-entity={JSON.stringify({ service: service?.service ?? alert?.labels.service, name: alert?.labels.alertname, at: since })} onClick={open} onKeyDown={onEnter(open)}>
      <div class="rank"><Glyph state={level} /></div>
      <div>
        <h2>{figures ? (slow ? w.serviceSlow(figures) : w.serviceFailing(figures)) : alert?.labels.alertname}</h2>
        <p>{figures ? w.serviceWhy(figures) : (alert?.annotations.summary ?? alert?.annotations.description)}</p>
        <span class="meta num">{at}</span>
      </div>
      {service ? <Spark points={slow ? service.p95 : service.errors} width={116} height={32} color={level} /> : <span />}
      <WhyLink {...whyOf(problem)} />
    </div>
  );
}

function Services({ services }: { services: ServiceRed[] }) {
  if (services.length === 0) return null;
  const rows = [...services].sort((a, b) => (lastOf(b.p95) || 0) - (lastOf(a.p95) || 0)).slice(0, 8);
  return (
    <Section title={w.services()} right={<a class="link" href={href('services')}>{w.allServices()}</a>}>
      <Table
        label={w.services()} rows={rows} rowKey={(one) => one.service} onRow={(one) => set({ drawer: `service:${one.service}` })}
        columns={[
          { head: '', cell: (one) => <Glyph state={one.level} /> },
          { head: w.service(), class: 'clip', cell: (one) => <b class="strong" data-entity={JSON.stringify({ service: one.service })}>{one.service}</b> },
          { head: w.rate(), class: 'num', cell: (one) => format.si(lastOf(one.rate)) },
          { head: w.errors(), class: 'num', cell: (one) => format.percent(lastOf(one.errors)) },
          { head: 'p95', class: 'num', sort: true, cell: (one) => <b class={one.level === 'crit' ? 't-crit' : one.level === 'warn' ? 't-warn' : ''}>{format.duration(lastOf(one.p95))}</b> },
          { head: '', class: 'lo', cell: (one) => <Spark points={one.p95} color={one.level === 'wait' ? 'text-3' : one.level} /> },
        ]}
      />
    </Section>
  );
}

interface Active {
  total: number;
  normal: number;
  slow: number;
  very_slow: number;
  trace_id: string[];
  top: boolean[];
  name: string[];
  detail: (string | null)[];
  elapsed_ms: number[];
}

function Running() {
  const loaded = useLoad(`active ${Math.floor(range.value.to / 5000)}`, (signal) => call<Active>('/api/ui/v1/active', { inferred: 0 }, { signal }));
  return (
    <Section title={w.running()} right={<a class="link" href={href('traces', { view: 'active' })}>{w.list()}</a>}>
      <Panel of={loaded} height={104}>
        {(data) => (
          <div class="running">
            <Ring size={104} counts={[data.normal, data.slow, data.very_slow]} caption={w.runningWord()} label={w.runningLabel({ n: data.total })} onClick={() => go('traces', { view: 'active' })} />
            <div>
              {data.trace_id.map((trace, i) => ({ trace, i })).filter(({ i }) => data.top[i]).slice(0, 3).map(({ trace, i }) => (
                <a key={trace} class="run" href={href('trace', { id: trace })}>
                  <Glyph state={data.elapsed_ms[i]! >= 8000 ? 'crit' : data.elapsed_ms[i]! >= 3000 ? 'warn' : 'ok'} />
                  <b class="num">{format.duration(data.elapsed_ms[i]!)}</b>
                  <span class="clip">{data.name[i]} <code class="faint">{data.detail[i]}</code></span>
                </a>
              ))}
            </div>
          </div>
        )}
      </Panel>
    </Section>
  );
}

function Intake() {
  const window = range.value;
  const loaded = useLoad(`intake ${Math.floor(window.to / 15_000)} ${window.to - window.from}`, (signal) => intake(window, signal));
  const rows: [string, string, string][] = [['metrics', w.samples(), w.samplesUnit()], ['logs', w.lines(), w.linesUnit()], ['traces', w.spans(), w.spansUnit()]];
  return (
    <Section title={w.intake()} right={w.intakeNote()}>
      <Panel of={loaded} height={80}>
        {(all) => (
          <Table
            label={w.intake()} rows={rows} rowKey={([screen]) => screen}
            columns={[
              { head: '', class: 'clip', cell: ([screen, name]) => <a class="link" href={href(screen)}>{name}</a> },
              { head: '', class: 'num', cell: ([, , unit], i) => <><b>{format.si(lastOf(all[i]!))}</b> <span class="faint">{unit}</span></> },
              { head: '', cell: (_, i) => <Spark points={all[i]!} color="text-3" /> },
            ]}
          />
        )}
      </Panel>
    </Section>
  );
}
