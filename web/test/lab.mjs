// A small lab for tests and pictures: caller → callee → callee-with-db with a database that grows slow, errors,
// lines that carry trace ids, metrics. All of it is pushed over HTTP, as real senders do.
const MS = 1_000_000n;

/** Random numbers that are the same each time. */
function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
const hex = (n, digits) => n.toString(16).padStart(digits, '0');
const attribute = (key, value) => ({ key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } });
const attributes = (of) => Object.entries(of).map(([key, value]) => attribute(key, value));
const nanos = (ms) => String(BigInt(Math.round(ms)) * MS);

const POD = { caller: 'caller-deploy-7855bc67b7-hbjdk', callee: 'callee-deploy-5bff788776-lemkl', 'callee-with-db': 'callee-with-db-deploy-7c9f6d8b5f-bbjaa' };
const resource = (service) => ({ attributes: attributes({ 'service.name': service, 'k8s.namespace.name': 'java', 'k8s.pod.name': POD[service], 'service.version': '1.0.9' }) });

const SERVER = 2;
const CLIENT = 3;

function span(trace, id, parent, name, kind, start, length, more = {}, failed = false) {
  return {
    traceId: hex(trace, 32), spanId: hex(id, 16), parentSpanId: parent ? hex(parent, 16) : '', name, kind,
    startTimeUnixNano: nanos(start), endTimeUnixNano: nanos(start + length), attributes: attributes(more),
    status: failed ? { code: 2, message: 'read timed out' } : {},
  };
}

/** A POST /log through all services; `sleep` is what the database takes. */
function slowTrace(trace, start, sleep, failed) {
  const whole = sleep + 260;
  const http = { 'http.request.method': 'POST', 'http.response.status_code': failed ? 504 : 201 };
  const sql = { 'db.system.name': 'postgresql', 'db.namespace': 'log', 'server.address': 'db-svc.java' };
  return {
    caller: [
      span(trace, 1, 0, 'POST /log', SERVER, start, whole, { ...http, 'http.route': '/log' }, failed),
      span(trace, 2, 1, 'POST callee-svc', CLIENT, start + 4, whole - 8, http, failed),
    ],
    callee: [
      span(trace, 3, 2, 'POST /callee/log', SERVER, start + 8, whole - 16, http, failed),
      span(trace, 4, 3, 'POST callee-with-db-svc', CLIENT, start + 12, whole - 24, http, failed),
    ],
    'callee-with-db': [
      span(trace, 5, 4, 'POST /log/create', SERVER, start + 16, whole - 32 + (failed ? 400 : 0), { ...http, 'http.response.status_code': 201 }),
      span(trace, 6, 5, 'HikariPool getConnection', 1, start + 20, 150),
      span(trace, 7, 5, 'SELECT pg_sleep', CLIENT, start + 172, sleep, { ...sql, 'db.query.text': 'SELECT pg_sleep($1)' }),
      span(trace, 8, 5, 'INSERT log_entry', CLIENT, start + 176 + sleep, 34, { ...sql, 'db.query.text': 'INSERT INTO log_entry (id, level, message) VALUES ($1, $2, $3)' }),
    ],
  };
}
const quickTrace = (trace, start, length) => ({
  caller: [
    span(trace, 1, 0, 'GET /health', SERVER, start, length, { 'http.request.method': 'GET', 'http.response.status_code': 200, 'http.route': '/health' }),
    span(trace, 2, 1, 'GET callee-svc', CLIENT, start + 1, length * 0.8, {}),
  ],
  callee: [span(trace, 3, 2, 'GET /callee/health', SERVER, start + 2, length * 0.7, { 'http.request.method': 'GET', 'http.response.status_code': 200 })],
});

const LEVELS = { INFO: 9, WARN: 13, ERROR: 17 };
const line = (at, level, text, trace, more = {}) => ({
  timeUnixNano: nanos(at), severityText: level, severityNumber: LEVELS[level], body: { stringValue: text }, attributes: attributes(more),
  ...(trace && { traceId: hex(trace, 32), spanId: hex(1, 16) }),
});

/** The story: half an hour up to `now`; from ten minutes before it on, the database is slow. */
export function story(now, { minutes = 30, perSecond = 1, seed = 7 } = {}) {
  const random = numbers(seed);
  const spans = { caller: [], callee: [], 'callee-with-db': [] };
  const logs = { caller: [], callee: [], 'callee-with-db': [] };
  const start = now - minutes * 60_000;
  const slowFrom = now - 10 * 60_000;
  let count = 0;
  const total = minutes * 60 * perSecond;
  for (let i = 0; i < total; i += 1) {
    const at = start + (i / total) * (now - start);
    const trace = 0xab5e_0000 + i;
    const posts = i % 3 === 0;
    const late = at > slowFrom;
    const sleep = late ? Math.min(29_000, 3000 + random() * 5000 + ((at - slowFrom) / 60_000) * 400) : 20 + random() * 60;
    const failed = posts && late && random() < 0.18;
    if (at + sleep > now - 2000) continue;
    const made = posts ? slowTrace(trace, at, failed ? 10_000 - 260 : sleep, failed) : quickTrace(trace, at, 4 + random() ** 6 * 2600);
    for (const [service, list] of Object.entries(made)) spans[service].push(...list);
    if (posts) {
      logs.caller.push(failed ? line(at + 10_000, 'ERROR', `ResourceAccessException: Read timed out after 10000 ms, trace ${hex(trace, 32)}`, trace, { status: 504 }) : line(at + sleep + 250, 'INFO', `POST /log 201 ${Math.round(sleep + 260)} ms`, trace, { status: 201 }));
      if (late) logs['callee-with-db'].push(line(at + sleep + 180, 'WARN', `Slow statement took ${Math.round(sleep)} ms: SELECT pg_sleep(?)`, trace));
      logs['callee-with-db'].push(line(at + sleep + 220, 'INFO', `log entry saved id=${66_000 + i}`, trace));
    } else logs.callee.push(line(at, 'INFO', 'callee health called', trace));
    count += 1;
  }
  // Names that would be markup, were they not text.
  const bad = '<img src=x onerror="window.__hurt=1">';
  spans.callee.push(span(0xbad, 1, 0, `GET ${bad}`, SERVER, now - 90_000, 40, { [bad]: bad }));
  logs.callee.push(line(now - 60_000, 'INFO', `markup ${bad}`, 0xbad, { field: bad }));
  return { spans, logs, count, slowTrace: hex(0xab5e_0000 + Math.floor((total * 0.9) / 3) * 3, 32) };
}

async function post(url, body, type = 'application/json') {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body: type === 'application/json' ? JSON.stringify(body) : body });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
}

const RULES = `name: java-slo
interval: 5s
rules:
  - alert: CallerLatencyP95High
    expr: histogram_quantile(0.95, sum by (le) (rate(traces_spanmetrics_latency_bucket{service="caller",span_kind="SPAN_KIND_SERVER"}[15m]))) > 3
    labels: { severity: critical }
    annotations: { summary: "caller 응답 p95가 3 s를 넘음" }
  - alert: PoolNearlyFull
    expr: hikaricp_connections_pending > 1000
    for: 1m
    labels: { severity: warning }
  - record: job:requests:rate1m
    expr: sum by (service) (rate(traces_spanmetrics_calls_total[1m]))
`;

function metrics(now, minutes) {
  const random = numbers(11);
  const lines = ['# TYPE hikaricp_connections_pending gauge', '# TYPE hikaricp_connections_active gauge', '# TYPE log_entries_total counter'];
  let saved = 0;
  for (let at = now - minutes * 60_000; at <= now; at += 15_000) {
    const late = Math.max(0, (at - (now - 600_000)) / 600_000);
    saved += 3 + Math.round(random() * 4);
    const pod = POD['callee-with-db'];
    lines.push(`hikaricp_connections_pending{pod="${pod}",pool="HikariPool-1"} ${Math.round(late * 17 * (0.7 + random() * 0.5))} ${at}`);
    lines.push(`hikaricp_connections_active{pod="${pod}",pool="HikariPool-1"} ${Math.round(Math.min(10, 2 + late * 20 + random()))} ${at}`);
    lines.push(`log_entries_total{pod="${pod}"} ${saved} ${at}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Pushes the lab into a server, and answers what tests want to know of it. */
export async function seed(url, { now = Date.now(), minutes = 30, ...options } = {}) {
  const made = story(now, { minutes, ...options });
  for (const [service, all] of Object.entries(made.spans)) {
    for (let i = 0; i < all.length; i += 2000) {
      const scopeSpans = [{ scope: { name: 'lab' }, spans: all.slice(i, i + 2000) }];
      await post(`${url}/v1/traces`, { resourceSpans: [{ resource: resource(service), scopeSpans }] });
    }
  }
  for (const [service, logRecords] of Object.entries(made.logs)) {
    await post(`${url}/v1/logs`, { resourceLogs: [{ resource: resource(service), scopeLogs: [{ logRecords }] }] });
  }
  await post(`${url}/api/v1/import/prometheus`, metrics(now, minutes), 'text/plain');
  await running(url, now);
  await post(`${url}/prometheus/config/v1/rules/lab`, RULES, 'application/yaml');
  return made;
}

/** Two requests that have begun and not ended, as Logfire's SDKs tell of them. */
async function running(url, now) {
  const told = (id, seconds) => {
    const one = span(0xac71 + id, 99, 0, 'POST /log (pending)', SERVER, now - seconds * 1000, 0, { 'logfire.span_type': 'pending_span', 'logfire.pending_parent_id': '0000000000000000', 'db.statement': 'SELECT pg_sleep($1)' });
    return { ...one, parentSpanId: hex(1, 16) };
  };
  const scopeSpans = [{ spans: [told(1, 2), told(2, 5), told(3, 11)] }];
  await post(`${url}/v1/traces`, { resourceSpans: [{ resource: resource('caller'), scopeSpans }] });
}

if (process.argv[1]?.endsWith('lab.mjs')) {
  const url = process.argv[2] ?? 'http://127.0.0.1:9640';
  const made = await seed(url);
  console.log(`${made.count} requests; a slow one: ${made.slowTrace}`);
}
