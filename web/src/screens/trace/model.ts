// A trace as the screen needs it: spans in tree order with depth, self time, and what outlives its parent.

export interface AnyValue {
  stringValue?: string;
  intValue?: string | number;
  doubleValue?: number;
  boolValue?: boolean;
  bytesValue?: string;
  arrayValue?: { values?: AnyValue[] };
  kvlistValue?: { values?: Attribute[] };
}
export interface Attribute {
  key: string;
  value?: AnyValue;
}
interface RawSpan {
  spanId: string;
  parentSpanId?: string;
  name?: string;
  kind?: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes?: Attribute[];
  events?: { name?: string; timeUnixNano: string; attributes?: Attribute[] }[];
  status?: { code?: string | number; message?: string };
}
export interface RawTrace {
  resourceSpans?: { resource?: { attributes?: Attribute[] }; scopeSpans?: { spans?: RawSpan[] }[] }[];
}

export interface Span {
  id: string;
  parent: string;
  name: string;
  kind: string;
  service: string;
  /** Milliseconds, from the start of the trace. */
  start: number;
  ms: number;
  self: number;
  failed: boolean;
  message: string;
  attributes: [string, string][];
  resource: [string, string][];
  events: { name: string; at: number; attributes: [string, string][] }[];
  depth: number;
  /** How long it runs on after its parent ended. */
  outlives: number;
  /** It names a parent that is not there. */
  orphan: boolean;
}

export interface Trace {
  /** Milliseconds since 1970. */
  start: number;
  ms: number;
  spans: Span[];
}

/** Ids come in base64, as protobuf's JSON has them. */
export function hexOf(base64: string): string {
  const bytes = atob(base64);
  return [...bytes].map((c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');
}

export function textOf(value: AnyValue | undefined): string {
  if (!value) return '';
  if (value.arrayValue) return `[${(value.arrayValue.values ?? []).map(textOf).join(', ')}]`;
  if (value.kvlistValue) return `{${(value.kvlistValue.values ?? []).map((pair) => `${pair.key}: ${textOf(pair.value)}`).join(', ')}}`;
  return String(value.stringValue ?? value.intValue ?? value.doubleValue ?? value.boolValue ?? value.bytesValue ?? '');
}
const pairs = (list: Attribute[] | undefined): [string, string][] => (list ?? []).map(({ key, value }) => [key, textOf(value)]);

/** Nanoseconds since `base`, as milliseconds: the difference keeps what a number would lose. */
const sinceMs = (nanos: string, base: bigint) => Number(BigInt(nanos) - base) / 1e6;

export function readTrace(raw: RawTrace): Trace | undefined {
  const groups = (raw.resourceSpans ?? []).map(({ resource, scopeSpans }) => ({
    resource: pairs(resource?.attributes),
    spans: (scopeSpans ?? []).flatMap((scope) => scope.spans ?? []),
  }));
  const all = groups.flatMap((group) => group.spans.map((span) => ({ span, resource: group.resource })));
  if (all.length === 0) return undefined;
  const base = all.map(({ span }) => BigInt(span.startTimeUnixNano)).reduce((a, b) => (a < b ? a : b));
  const spans = all.map(({ span, resource }) => read(span, resource, base));
  const ordered = inOrder(spans);
  return { start: Number(base / 1_000_000n), ms: Math.max(...spans.map((span) => span.start + span.ms)), spans: ordered };
}

function read(span: RawSpan, resource: [string, string][], base: bigint): Span {
  const code = span.status?.code;
  return {
    id: hexOf(span.spanId),
    parent: span.parentSpanId ? hexOf(span.parentSpanId) : '',
    name: span.name ?? '',
    kind: (span.kind ?? '').replace('SPAN_KIND_', ''),
    service: resource.find(([key]) => key === 'service.name')?.[1] ?? '–',
    start: sinceMs(span.startTimeUnixNano, base),
    ms: Math.max(0, Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6),
    self: 0,
    failed: code === 'STATUS_CODE_ERROR' || code === 2,
    message: span.status?.message ?? '',
    attributes: pairs(span.attributes),
    resource,
    events: (span.events ?? []).map((event) => ({ name: event.name ?? '', at: sinceMs(event.timeUnixNano, base), attributes: pairs(event.attributes) })),
    depth: 0,
    outlives: 0,
    orphan: false,
  };
}

/** Children below their parent, earlier first; spans whose parent is missing stand at the top. Loops are cut. */
function inOrder(spans: Span[]): Span[] {
  const byId = new Map(spans.map((span) => [span.id, span]));
  const children = new Map<string, Span[]>();
  const roots: Span[] = [];
  for (const span of spans) {
    const parent = byId.get(span.parent);
    if (!parent || parent === span) {
      span.orphan = span.parent !== '' && !parent;
      roots.push(span);
      continue;
    }
    children.set(parent.id, [...(children.get(parent.id) ?? []), span]);
    span.outlives = Math.max(0, span.start + span.ms - (parent.start + parent.ms));
  }
  const early = (a: Span, b: Span) => a.start - b.start;
  const ordered: Span[] = [];
  const seen = new Set<Span>();
  const walk = (top: Span) => {
    const stack: [Span, number][] = [[top, 0]];
    while (stack.length > 0) {
      const [span, depth] = stack.pop()!;
      if (seen.has(span)) continue;
      seen.add(span);
      span.depth = depth;
      const below = (children.get(span.id) ?? []).sort(early);
      span.self = Math.max(0, span.ms - covered(below, span));
      ordered.push(span);
      for (const child of [...below].reverse()) stack.push([child, depth + 1]);
    }
  };
  roots.sort(early).forEach(walk);
  spans.filter((span) => !seen.has(span)).forEach(walk);
  return ordered;
}

/** How much of a span its children cover together. */
function covered(children: Span[], parent: Span): number {
  let [sum, reached] = [0, parent.start];
  const end = parent.start + parent.ms;
  for (const child of children) {
    const from = Math.max(reached, child.start);
    const to = Math.min(end, child.start + child.ms);
    if (to > from) {
      sum += to - from;
      reached = to;
    }
  }
  return sum;
}

export const attributeOf = (span: Span, ...keys: string[]): string | undefined => keys.map((key) => span.attributes.find(([name]) => name === key)?.[1]).find((value) => value !== undefined);

export const sqlOf = (span: Span): string | undefined => attributeOf(span, 'db.query.text', 'db.statement');
export const isDb = (span: Span): boolean => attributeOf(span, 'db.system.name', 'db.system') !== undefined;
export const httpOf = (span: Span): string | undefined => attributeOf(span, 'http.response.status_code', 'http.status_code');
