// The trace, the graph, the queries of metrics, the matchers of silences.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layersOf } from '../src/core/layers';
import { levelOfService, sinceOf, type ServiceRed } from '../src/core/red';
import { problemsOf, worstOf } from '../src/screens/home/data';
import { matcherText, parseMatchers, rowsOf } from '../src/screens/alerts/data';
import { autoQuery, familiesOf, nearNames } from '../src/screens/metrics/auto';
import { optionsFor, wordBefore } from '../src/screens/metrics/complete';
import { hexOf, readTrace, type RawTrace } from '../src/screens/trace/model';

const id = (n: number) => Buffer.from([0, 0, 0, 0, 0, 0, 0, n]).toString('base64');
const BASE = 1_764_651_600_000_000_000n;
const span = (n: number, parent: number, from: number, to: number, more = {}) => ({
  spanId: id(n), ...(parent && { parentSpanId: id(parent) }), name: `s${n}`, startTimeUnixNano: String(BASE + BigInt(from) * 1_000_000n), endTimeUnixNano: String(BASE + BigInt(to) * 1_000_000n), ...more,
});
const trace = (...spans: ReturnType<typeof span>[]): RawTrace => ({ resourceSpans: [{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] }, scopeSpans: [{ spans }] }] });

test('a trace in order, with self times and what outlives its parent', () => {
  const read = readTrace(trace(span(3, 1, 50, 120), span(1, 0, 0, 100), span(2, 1, 10, 60)))!;
  assert.deepEqual(read.spans.map(({ name, depth, self, outlives }) => [name, depth, self, outlives]), [['s1', 0, 10, 0], ['s2', 1, 50, 0], ['s3', 1, 70, 20]]);
  assert.equal(read.ms, 120);
  assert.equal(read.start, 1_764_651_600_000);
  assert.equal(hexOf(id(10)), '000000000000000a');
});

test('missing parents, loops and empty traces are shown as far as they go', () => {
  const read = readTrace(trace(span(1, 9, 0, 10), span(2, 3, 0, 5), span(3, 2, 1, 4)))!;
  assert.equal(read.spans.length, 3);
  assert.equal(read.spans[0]!.orphan, true);
  assert.equal(readTrace({}), undefined);
  const failed = readTrace(trace(span(1, 0, 0, 1, { status: { code: 'STATUS_CODE_ERROR', message: 'no' } })))!;
  assert.deepEqual([failed.spans[0]!.failed, failed.spans[0]!.message], [true, 'no']);
});

test('layers follow the calls, and loops end', () => {
  assert.deepEqual(layersOf(4, [0, 1, 0], [1, 2, 2]), [0, 1, 2, 0]);
  assert.deepEqual(layersOf(3, [0, 1, 2], [1, 2, 0]), [0, 1, 2]);
  assert.deepEqual(layersOf(2, [0, 0], [0, 1]), [0, 1]);
  assert.deepEqual(layersOf(0, [], []), []);
});

test('a service is judged by rate, errors and p95', () => {
  assert.deepEqual([levelOfService(0, 0, 9000), levelOfService(1, 0, 100), levelOfService(1, 0, 3000), levelOfService(1, 6, 100), levelOfService(Number.NaN, 0, 0)], ['wait', 'ok', 'warn', 'crit', 'wait']);
});

test('metrics are looked at by their type', () => {
  const names = ['a_seconds_bucket', 'a_seconds_sum', 'a_seconds_count', 'b_total', 'c_bytes', 'd_sum', 'd_count', 'e_ratio', 'with.dots'];
  const families = familiesOf(names, { b_total: [{ type: 'counter', help: 'B' }] });
  assert.deepEqual(families.map(({ name, kind }) => `${name} ${kind}`), ['a_seconds histogram', 'b_total counter', 'c_bytes gauge', 'd summary', 'e_ratio gauge', 'with.dots gauge']);
  const query = (name: string, by = '') => autoQuery(families.find((one) => one.name === name)!, 60, by);
  assert.equal(query('a_seconds'), 'histogram_quantile(0.95, sum by (le) (rate(a_seconds_bucket[60s])))');
  assert.equal(query('a_seconds', 'job'), 'histogram_quantile(0.95, sum by (job, le) (rate(a_seconds_bucket[60s])))');
  assert.equal(query('b_total', 'job'), 'sum by (job) (rate(b_total[60s]))');
  assert.equal(query('d'), 'sum (rate(d_sum[60s])) / sum (rate(d_count[60s]))');
  assert.equal(query('e_ratio'), 'avg (e_ratio)');
  assert.equal(query('with.dots'), 'sum ({"with.dots"})');
  assert.deepEqual(nearNames('hikari_pending', ['up', 'hikaricp_pending', 'node_load5'], 1), ['hikaricp_pending']);
});

test('completion knows the word before the cursor, and leaves texts alone', () => {
  assert.deepEqual(wordBefore('sum(ra', 6), { start: 4, text: 'ra' });
  assert.equal(wordBefore('x{job="ra', 9), undefined);
  assert.equal(wordBefore('sum(', 4), undefined);
  assert.deepEqual(optionsFor('hist', ['my_histogram'], 20).map(({ text }) => text).slice(-2), ['histogram_sum', 'my_histogram']);
});

test('matchers are read as they are written', () => {
  for (const text of ['a="b"', 'a!="b"', 'a=~"b|c"', 'a!~"b"']) assert.equal(parseMatchers(text)!.map(matcherText).join(), text);
  assert.equal(parseMatchers('{a="x", b=~"y"}')!.length, 2);
  for (const bad of ['', 'a', 'a=', '="b"', 'a="b" c="d"']) assert.equal(parseMatchers(bad), undefined, bad);
});

test('alerts stand with their rule, those from outside apart, and silenced ones say so', () => {
  const labels = { alertname: 'A', severity: 'critical' };
  const rule = { name: 'A', query: 'up == 0', type: 'alerting' as const, health: 'ok', lastEvaluation: '', evaluationTime: 0, alerts: [{ labels, annotations: { summary: 's' }, state: 'firing' as const, activeAt: '2026-12-02T00:00:00Z', value: '1' }] };
  const known = (of: Record<string, string>, silencedBy: string[]) => ({ labels: of, annotations: {}, startsAt: '2026-12-02T00:00:00Z', status: { state: '', silencedBy } });
  const groups = rowsOf({ groups: [{ name: 'g', file: 'f', interval: 1, rules: [rule] }], known: [known(labels, ['x']), known({ alertname: 'B' }, [])], silences: [] });
  assert.deepEqual(groups.map(({ title, rows }) => [title, rows.map(({ name, state, level }) => `${name} ${state} ${level}`)]), [['g', ['A silenced crit']], ['', ['B firing warn']]]);
});

test('home: critical first, then the newest; the worst service is the one that users reach', () => {
  const one = (service: string, level: 'ok' | 'crit' | 'warn', points: [number, number][]): ServiceRed => ({ service, level, rate: [[0, 1]], errors: [], p50: [], p95: points });
  const services = [one('behind', 'crit', [[1000, 100], [2000, 9000], [3000, 9000]]), one('front', 'crit', [[1000, 9000], [2000, 9000], [3000, 9000]]), one('calm', 'ok', [])];
  const red = { services, step: 1 };
  assert.equal(worstOf(red, new Map([['front', 2]]))!.service, 'front');
  assert.equal(sinceOf(services[0]!), 2000);
  const alert = { labels: { alertname: 'A' }, annotations: {}, state: 'firing', activeAt: new Date(5000).toISOString() };
  assert.deepEqual(problemsOf(red, [alert]).map(({ level, since }) => `${level} ${since}`), ['crit 2000', 'crit 1000', 'warn 5000']);
});
