// Findings in words, formulas with numbers, the ranking while it comes, the addresses of doors and evidence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeLines } from '../src/core/api';
import { lang } from '../src/core/i18n';
import { parseRoute, route } from '../src/core/url';
import { durationFilter, whyHref } from '../src/core/why';
import {
  askedOf, evidenceOf, formulaOf, lookedAt, questionOf, rankedOf, waitingFor, withLine, type Answers, type Attribute, type Change, type Metric, type Pattern,
} from '../src/screens/explain/model';
import { lead, say } from '../src/screens/explain/say';

const common = { formula: '', query: '', value: '' };
const attribute: Attribute = { ...common, kind: 'attribute', name: 'span.db.query.text', value: 'SELECT pg_sleep($1)', score: 0.998, selection: 0.998, baseline: 0, of_selection: 3208, of_baseline: 25_032, query: '{ span.db.query.text = "SELECT pg_sleep($1)" }', language: 'traceql' };
const metric: Metric = { ...common, kind: 'metric', name: 'db_client_operation_duration_seconds', value: '{__name__="db_client_operation_duration_seconds", pod="p"}', score: 0.86, selection: 8.44, baseline: 0.05, distance: 1, critical: 0.29, hops: 2, query: '{__name__="x"}', language: 'promql' };
const pattern: Pattern = { ...common, kind: 'pattern', name: 'caller', value: 'Read timed out after <_> ms', score: 0.86, selection: 388, baseline: 0, query: '{service_name="caller"} |> "Read"', language: 'logql' };
const change: Change = { ...common, kind: 'change', name: 'callee-with-db', value: 'version 1.0.8 -> 1.0.9', score: 0.93, at: 955_000, before_ms: 45_000, near: true, query: '{ x }', language: 'traceql' };
const alert: Change = { ...change, kind: 'alert', name: 'Slow', value: '{severity="critical"}', before_ms: -120_000, language: 'promql' };
const question = questionOf({}, { from: 1_000_000, to: 1_400_000 }, 'caller');

test('the sentence of each kind says the numbers, in both languages', () => {
  lang.value = 'ko';
  assert.equal(lead(attribute), '고른 것의 99.8%가 span.db.query.text = SELECT pg_sleep($1)입니다. 기준에서는 0%.');
  assert.equal(lead(metric), '50 ms → 8.44 s: 지표 db_client_operation_duration_seconds의 값이 기준과 다릅니다.');
  assert.equal(lead(pattern), '새 패턴 388줄: caller 로그 “Read timed out after <_> ms”');
  assert.equal(lead({ ...pattern, baseline: 12, name: '' }), '12줄 → 388줄: 로그 “Read timed out after <_> ms”');
  assert.equal(lead(change), '고른 구간 45초 전: callee-with-db version 1.0.8 -> 1.0.9');
  assert.equal(lead(alert), '고른 구간 시작 2분 뒤에 알림이 울렸습니다: Slow');
  lang.value = 'en';
  assert.equal(lead(attribute), '99.8% of the selection have span.db.query.text = SELECT pg_sleep($1); 0% in the baseline.');
  assert.equal(lead(pattern), 'New pattern, 388 lines of caller: “Read timed out after <_> ms”');
  assert.equal(lead(change), '45 s before the selection: callee-with-db version 1.0.8 -> 1.0.9');
});

test('medians have the unit of their metric, rates of counters are a second’s, no number is a dash', () => {
  lang.value = 'en';
  assert.equal(say(metric).more, '{pod="p"}');
  assert.equal(say({ ...metric, name: 'requests_total', baseline: 2, selection: 30 }).figures, '2/s → 30/s');
  assert.equal(say({ ...metric, name: 'request_seconds_sum', baseline: null, selection: 0.25 }).figures, '– → 250 ms');
});

test('formulas with their numbers', () => {
  assert.equal(formulaOf(attribute, question), '|1.00 − 0.00| = 1.00');
  assert.equal(formulaOf({ ...attribute, selection: 1, baseline: 0.5, score: 0.45 }, question), '|1.00 − 0.50| × 0.90 = 0.45');
  assert.equal(formulaOf(metric, question), 'D 1.00 (> 0.29) × 0.93^2 × 1.00 = 0.86');
  assert.equal(formulaOf(pattern, question), 'log₂((388 + 1) / (0 × 0.25 + 1)) / 10 = 0.86');
  assert.equal(formulaOf(change, question), 'e^(−45 s / 600 s) = 0.93');
  assert.equal(formulaOf({ ...change, near: false, score: 0.28 }, question), 'e^(−45 s / 600 s) × 0.3 = 0.28');
});

test('the score of a metric is what its formula gives', () => {
  const weight = 0.9 + 0.1 * ((8.44 - 0.05) / 8.44);
  assert.ok(Math.abs(1 * 0.93 ** 2 * weight - metric.score) < 0.005);
});

test('rows are ranked while sources answer; the last line has the last word', () => {
  let answers: Answers = { sources: {} };
  assert.equal(waitingFor(answers), 'changes');
  answers = withLine(answers, { source: 'changes', looked_at: 3, findings: [change], ruled_out: [] });
  answers = withLine(answers, { source: 'spans', looked_at: 4, findings: [attribute], ruled_out: [] });
  assert.deepEqual(rankedOf(answers), [attribute, change]);
  assert.equal(waitingFor(answers), 'patterns');
  answers = withLine(answers, { source: 'patterns', error: 'too much' });
  assert.equal(waitingFor(answers), 'metrics');
  answers = withLine(answers, { source: 'all', from: 0, to: 1, baseline_from: 0, baseline_to: 0, findings: [change], stats: { ms: 1, partial: true } });
  assert.deepEqual([rankedOf(answers), waitingFor(answers), lookedAt(answers)], [[change], undefined, 7]);
});

test('lines of an answer that comes in pieces', () => {
  assert.deepEqual(takeLines('{"a":1}\n{"b"'), [['{"a":1}'], '{"b"']);
  assert.deepEqual(takeLines('{"b":2}\n\n'), [['{"b":2}'], '']);
  assert.deepEqual(takeLines(''), [[], '']);
});

test('the question of an address', () => {
  assert.deepEqual(question.baseline, { from: -600_000, to: 1_000_000 });
  const given = questionOf({ baseline_from: '5', baseline_to: '9', service: 'shop', q: '{ }' }, { from: 10, to: 20 }, 'caller');
  assert.deepEqual(askedOf(given), { from: '10', to: '20', service: 'shop', q: '{ }', baseline_from: '5', baseline_to: '9' });
  assert.deepEqual(questionOf({ baseline_from: 'x', baseline_to: '9' }, { from: 10, to: 20 }, '').baseline, { from: -30, to: 10 });
});

test('evidence is shown where its query is read, in its window', () => {
  assert.deepEqual(evidenceOf(metric, question), { screen: 'metrics', q: { from: '-600000', to: '1400000', live: '', tab: 'query', expr: metric.query } });
  assert.deepEqual(evidenceOf(pattern, question), { screen: 'logs', q: { from: '1000000', to: '1400000', live: '', mode: 'logql', q: pattern.query } });
  assert.deepEqual(evidenceOf(attribute, question).q, { from: '1000000', to: '1400000', live: '', f: 'service:caller', q: `${attribute.query} &<< { }` });
  assert.equal(evidenceOf(change, question).q.from, '895000');
});

test('doors: a box of durations among what is filtered by, an absolute window', () => {
  assert.equal(durationFilter(2999.6, 10_000.2), '{ duration >= 2999ms && duration <= 10001ms }');
  assert.equal(durationFilter(3000, Infinity, ' { status = error || span.x = 1 } '), '{ (status = error || span.x = 1) && duration >= 3000ms }');
  assert.equal(durationFilter(0, 5, '{ }'), '{ duration >= 0ms && duration <= 5ms }');
  // What is more than one filter can't be narrowed.
  assert.equal(durationFilter(0, 5, '{ a } >> { b }'), '{ duration >= 0ms && duration <= 5ms }');
  route.value = { screen: 'traces', q: { from: 'now-1h', live: '0', f: 'service:shop', sel: 'x', lang: 'en' } };
  const { screen, q } = parseRoute('/ui/explain', whyHref({ from: 1.5, to: 9.5, q: '{ }' }).split('explain')[1]!);
  assert.deepEqual([screen, q], ['explain', { from: '1', to: '10', f: 'service:shop', lang: 'en', q: '{ }' }]);
  assert.ok(whyHref({ from: 1, to: 2, service: '' }).endsWith('explain?from=1&to=2&lang=en'));
});
