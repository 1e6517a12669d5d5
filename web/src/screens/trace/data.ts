// What the screen asks of the server: the trace with its lines, and its map with the critical path.
import { call, type Labels, type Stats } from '../../core';
import { readTrace, type RawTrace, type Trace } from './model';

export interface TraceLine {
  at: number;
  text: string;
  span: string;
  service: string;
  level: string;
}

interface LogsAnswer {
  trace: RawTrace;
  streams: Labels[];
  lines: { time_ms: number; stream: number; span_id?: string | null; line: string }[];
  stats: Stats;
}

export interface TraceMap {
  start_ms: number;
  duration_ms: number;
  nodes: {
    count: number; kind: string[]; service: string[]; name: string[]; span_id: string[]; total_ms: number[]; self_ms: number[];
    critical_ms: number[]; calls: number[]; errors: number[]; sql: number[]; http: number[];
  };
  edges: { from: number[]; to: number[]; calls: number[]; errors: number[] };
  critical_path: { span_id: string[] };
}

export interface Answer {
  trace: Trace | undefined;
  lines: TraceLine[];
  map: TraceMap | undefined;
  stats: Stats;
}

/** Words by which a line says how bad it is, where no field does. */
export function levelOfText(text: string): string {
  const found = /\b(fatal|panic|error|exception|warn(?:ing)?|debug|trace)\b/i.exec(text.slice(0, 300))?.[1]?.toLowerCase() ?? '';
  if (/fatal|panic|error|exception/.test(found) || /Exception\b|Error\b/.test(text.slice(0, 300))) return 'error';
  if (found.startsWith('warn') || /^slow\b/i.test(text)) return 'warn';
  return found === 'debug' || found === 'trace' ? 'debug' : 'info';
}

export async function load(id: string, signal: AbortSignal): Promise<Answer> {
  const path = `/api/ui/v1/trace/${encodeURIComponent(id)}`;
  const [logs, map] = await Promise.all([call<LogsAnswer>(`${path}/logs`, {}, { signal }), call<TraceMap>(`${path}/map`, {}, { signal }).catch(() => undefined)]);
  const lines = logs.lines.map((line): TraceLine => {
    const labels = logs.streams[line.stream] ?? {};
    const level = labels.detected_level ?? labels.level ?? levelOfText(line.line);
    return { at: line.time_ms, text: line.line, span: line.span_id ?? '', service: labels.service_name ?? Object.values(labels)[0] ?? '', level };
  });
  return { trace: readTrace(logs.trace), lines, map, stats: logs.stats };
}
