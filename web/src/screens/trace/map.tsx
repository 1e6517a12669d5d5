// The map of a trace: operations and systems in layers from the left, with what each took itself.
import { format, layersOf, onEnter } from '../../core';
import type { TraceMap } from './data';
import { w } from './words';

const [WIDE, TALL, GAP_X, GAP_Y] = [176, 92, 44, 18];
const LETTERS = 22;
const short = (text: string) => (text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text);

export function MapOfTrace({ map, onPick }: { map: TraceMap; onPick: (spanId: string) => void }) {
  const { nodes, edges } = map;
  const layers = layersOf(nodes.count, edges.from, edges.to);
  const filled: number[] = [];
  const places = layers.map((layer) => {
    const row = filled[layer] ?? 0;
    filled[layer] = row + 1;
    return { x: layer * (WIDE + GAP_X) + 4, y: row * (TALL + GAP_Y) + 10 };
  });
  const width = (Math.max(0, ...layers) + 1) * (WIDE + GAP_X);
  const height = Math.max(1, ...filled.filter(Boolean)) * (TALL + GAP_Y) + 16;
  return (
    <div class="tmap">
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="group" aria-label={w.mapLabel({ n: nodes.count })}>
        {edges.from.map((a, i) => (
          <Edge key={i} from={places[a]!} to={places[edges.to[i]!]!} calls={edges.calls[i]!} failed={edges.errors[i]! > 0} />
        ))}
        {places.map((place, i) => (
          <Node key={i} map={map} index={i} place={place} onPick={onPick} />
        ))}
      </svg>
    </div>
  );
}

interface Place {
  x: number;
  y: number;
}

function Edge({ from, to, calls, failed }: { from: Place; to: Place; calls: number; failed: boolean }) {
  const [x0, y0, x1, y1] = [from.x + WIDE, from.y + TALL / 2, to.x - 3, to.y + TALL / 2];
  const middle = (x0 + x1) / 2;
  const stroke = failed ? 'var(--crit)' : 'var(--text-2)';
  return (
    <g>
      <path d={`M${x0} ${y0}C${middle} ${y0} ${middle} ${y1} ${x1} ${y1}m-6-4 6 4-6 4`} fill="none" stroke={stroke} stroke-width={1.5} />
      {calls > 1 && (
        <text x={x1 - 12} y={y1 - 7} class="sv" text-anchor="end">
          ×{format.int(calls)}
        </text>
      )}
    </g>
  );
}

function Node({ map, index, place, onPick }: { map: TraceMap; index: number; place: Place; onPick: (spanId: string) => void }) {
  const { nodes, duration_ms: whole } = map;
  const { x, y } = place;
  const self = nodes.self_ms[index]!;
  const hot = self / (whole || 1) > 0.5;
  const failed = nodes.errors[index]!;
  const stored = nodes.kind[index] === 'database' || nodes.kind[index] === 'queue';
  const stroke = { fill: 'var(--surface)', stroke: hot || failed ? 'var(--crit)' : 'var(--line-strong)', 'stroke-width': hot ? 2 : 1 };
  const pick = () => onPick(nodes.span_id[index]!);
  const lines = [`${hot ? '■ ' : ''}${short(nodes.service[index]!)}`, short(nodes.name[index]!), `${w.selfTime()} ${format.duration(self)} · ${format.percent((100 * self) / (whole || 1))}`];
  const last = [nodes.calls[index]! > 1 ? `×${nodes.calls[index]}` : '', nodes.sql[index] ? `SQL ${nodes.sql[index]}` : '', failed ? w.errors({ n: failed }) : ''].filter(Boolean).join(' · ');
  return (
    <g class="snode" role="button" tabIndex={0} onClick={pick} onKeyDown={onEnter(pick)} transform={`translate(${x} ${y})`}>
      {stored ? <path d={`M0 9C0 -3 ${WIDE} -3 ${WIDE} 9V${TALL - 7}C${WIDE} ${TALL + 5} 0 ${TALL + 5} 0 ${TALL - 7}ZM0 9C0 21 ${WIDE} 21 ${WIDE} 9`} {...stroke} /> : <rect width={WIDE} height={TALL} {...stroke} />}
      <text x={11} y={stored ? 36 : 25} class="st">{lines[0]}</text>
      <text x={11} y={stored ? 52 : 43} class="sv">{lines[1]}</text>
      <text x={11} y={stored ? 68 : 63} class="sv">{lines[2]}</text>
      <text x={11} y={stored ? 83 : 80} class="sv">{last}</text>
    </g>
  );
}
