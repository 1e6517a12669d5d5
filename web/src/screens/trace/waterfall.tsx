// The waterfall: one row for each span, only those in sight exist.
import { format, VirtualList } from '../../core';
import { isDb, type Span, type Trace } from './model';
import type { TraceLine } from './data';
import { w } from './words';

const ROW = 30;
const MAX_INDENT = 12;

interface Props {
  trace: Trace;
  path: Set<string>;
  lines: TraceLine[];
  chosen: Span;
  onPick: (span: Span) => void;
}

export function Waterfall({ trace, path, lines, chosen, onPick }: Props) {
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  const bySpan = new Map<string, TraceLine[]>();
  for (const line of lines) if (line.span) bySpan.set(line.span, [...(bySpan.get(line.span) ?? []), line]);
  return (
    <div class="wf">
      <div class="wf-head">
        <span>{w.serviceOp()}</span>
        <span class="scale">
          {ticks.map((share) => (
            <i key={share} style={{ left: `${share * 100}%` }}>
              {share ? format.duration(trace.ms * share) : '0'}
            </i>
          ))}
        </span>
      </div>
      <VirtualList
        count={trace.spans.length}
        rowHeight={ROW}
        label={w.waterfall()}
        row={(i) => {
          const span = trace.spans[i]!;
          return <Row key={span.id + i} span={span} trace={trace} onPath={path.has(span.id)} lines={bySpan.get(span.id) ?? []} on={span === chosen} onPick={onPick} />;
        }}
      />
    </div>
  );
}

interface RowProps {
  span: Span;
  trace: Trace;
  onPath: boolean;
  lines: TraceLine[];
  on: boolean;
  onPick: (span: Span) => void;
}

function Row({ span, trace, onPath, lines, on, onPick }: RowProps) {
  const at = (ms: number) => `${Math.min(100, Math.max(0, (ms / (trace.ms || 1)) * 100))}%`;
  const entity = JSON.stringify({ service: span.service, name: span.name, at: trace.start + span.start });
  const kind = [on && 'on', onPath && 'path', span.failed && 'err'].filter(Boolean).join(' ');
  return (
    <button type="button" class={`wf-row ${kind}`} data-row="" data-entity={entity} aria-pressed={on} onClick={() => onPick(span)}>
      <span class="wf-name" style={{ paddingLeft: `${Math.min(span.depth, MAX_INDENT) * 14 + 2}px` }}>
        <span class="dim">{span.service}</span>
        <b title={span.orphan ? w.lostParent() : span.name}>
          {span.orphan && '⋯ '}
          {span.name}
        </b>
      </span>
      <span class="wf-track">
        <i class={`wf-bar ${span.self > trace.ms / 2 ? 'hot' : isDb(span) ? 'db' : ''}`} style={{ left: at(span.start), width: `max(2px, ${at(span.ms)})` }} />
        {span.outlives > 0.5 && <i class="wf-over" style={{ left: at(span.start + span.ms - span.outlives), width: at(span.outlives) }} />}
        {lines.slice(0, 8).map((line, i) => (
          <i key={i} class={`wf-log ${line.level}`} style={{ left: `min(${at(line.at - trace.start)}, calc(100% - 8px))` }} title={line.text.slice(0, 200)} />
        ))}
        <Duration span={span} whole={trace.ms} onPath={onPath} />
      </span>
    </button>
  );
}

/** Behind the bar where there is room, in it where it is long, before it at the right edge. */
function Duration({ span, whole, onPath }: { span: Span; whole: number; onPath: boolean }) {
  const [from, to] = [span.start / (whole || 1), (span.start + span.ms) / (whole || 1)];
  const text = `${span.failed ? '✕ ' : ''}${format.duration(span.ms)}`;
  if (from > 0.7) return <span class="wf-dur num" style={{ right: `${100 - from * 100}%` }}>{text}</span>;
  if (to <= 0.86) return <span class="wf-dur num" style={{ left: `calc(${to * 100}% + 4px)` }}>{text}</span>;
  return <span class={onPath ? 'wf-dur num in' : 'wf-dur num'} style={{ right: `calc(${Math.max(0, 100 - to * 100)}% + 8px)` }}>{text}</span>;
}
