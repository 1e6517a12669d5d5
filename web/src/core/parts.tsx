// Small parts of every screen. States differ in shape as well as in colour.
import type { ComponentChildren } from 'preact';
import type { ApiError } from './api';
import type { Loaded } from './load';
import { Icon } from './icons';
import { toast } from './overlays';
import { w } from './ui.words';

type Children = ComponentChildren;

export type State = 'ok' | 'warn' | 'crit' | 'dead' | 'wait' | 'pause' | 'info';
const SHAPES: Record<State, string> = { ok: '●', warn: '▲', crit: '■', dead: '✕', wait: '○', info: '●', pause: '◐' };

export const shapeOf = (state: State): string => SHAPES[state];

export const Glyph = ({ state, label }: { state: State; label?: string }) => (
  <span class={`glyph ${state}`} role="img" aria-label={label ?? w[state]()}>
    {SHAPES[state]}
  </span>
);

export const Keys = ({ keys }: { keys: string }) => (
  <>
    {keys.split(' ').map((key) => (
      <kbd key={key}>{key}</kbd>
    ))}
  </>
);

export interface Choice {
  value: string;
  text: Children;
  title?: string;
  count?: number | string | undefined;
}

interface ChoiceProps {
  items: Choice[];
  value: string;
  onPick: (value: string) => void;
  label: string;
}

/** Arrow keys move the focus and choose, as in a group of radio buttons. */
function onArrows(event: KeyboardEvent, { items, value, onPick }: ChoiceProps): void {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!by) return;
  const at = items.findIndex((item) => item.value === value);
  const next = (at + by + items.length) % items.length;
  event.preventDefault();
  event.stopPropagation();
  onPick(items[next]!.value);
  ((event.currentTarget as Element).children[next] as HTMLElement).focus();
}

export const Segments = (props: ChoiceProps) => (
  <div class="seg" role="radiogroup" aria-label={props.label} onKeyDown={(event) => onArrows(event, props)}>
    {props.items.map(({ value, text, title }) => {
      const on = value === props.value;
      return (
        <button key={value} type="button" role="radio" aria-checked={on} tabIndex={on ? 0 : -1} title={title} onClick={() => props.onPick(value)}>
          {text}
        </button>
      );
    })}
  </div>
);

export const Tabs = (props: ChoiceProps) => (
  <div class="tabs" role="tablist" aria-label={props.label} onKeyDown={(event) => onArrows(event, props)}>
    {props.items.map(({ value, text, count }) => {
      const on = value === props.value;
      return (
        <button key={value} type="button" role="tab" aria-selected={on} tabIndex={on ? 0 : -1} onClick={() => props.onPick(value)}>
          {text}
          {count !== undefined && <span class="count">{count}</span>}
        </button>
      );
    })}
  </div>
);

export const Section = ({ title, right, children, class: extra = '' }: { title: Children; right?: Children; children: Children; class?: string }) => (
  <section class={`sec ${extra}`}>
    <header>
      <h2>{title}</h2>
      <div class="right">{right}</div>
    </header>
    {children}
  </section>
);

export const Bar = ({ title, children }: { title: Children; children?: Children }) => (
  <div class="bar">
    <h1>{title}</h1>
    {children}
  </div>
);

export const Criterion = ({ name, children }: { name: string; children: Children }) => (
  <p class="criterion">
    <b>{name}</b> {children}
  </p>
);

export const Meter = ({ share, state = '', class: extra = '' }: { share: number; state?: string; class?: string }) => (
  <div class={`meter ${extra}`}>
    <i class={state} style={{ width: `${Math.min(100, Math.max(0, share * 100))}%` }} />
  </div>
);

export interface Column<T> {
  head: Children;
  class?: string;
  title?: string;
  /** The mark of the column by which rows are sorted. */
  sort?: boolean;
  onSort?: () => void;
  cell: (row: T, index: number) => Children;
}

interface TableProps<T> {
  columns: Column<T>[];
  rows: T[];
  label: string;
  rowKey: (row: T, index: number) => string;
  onRow?: (row: T) => void;
  rowClass?: (row: T) => string;
}

/** Rows that can be opened are reached by j and k, and opened by Enter. */
export function Table<T>({ columns, rows, label, rowKey, onRow, rowClass }: TableProps<T>) {
  const open = (row: T) => onRow && { tabIndex: 0, 'data-row': '', onClick: () => onRow(row), onKeyDown: onEnter(() => onRow(row)) };
  return (
    <table class="tbl" aria-label={label}>
      <thead class={columns.every(({ head }) => head === '') ? 'hidden' : ''}>
        <tr>
          {columns.map((column, i) => (
            <th key={i} class={column.class} title={column.title} scope="col" aria-sort={column.sort ? 'descending' : undefined}>
              {column.onSort ? (
                <button type="button" onClick={column.onSort}>
                  {column.head}
                </button>
              ) : (
                column.head
              )}
              {column.sort && <span class="sort">▾</span>}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, index) => (
          <tr key={rowKey(row, index)} class={rowClass?.(row)} {...open(row)}>
            {columns.map((column, i) => (
              <td key={i} class={column.class}>
                {column.cell(row, index)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Enter and space act, but not the Enter that ends a syllable of an input method, and not on inner controls. */
export const onEnter = (act: () => void) => (event: KeyboardEvent) => {
  if (event.isComposing || event.target !== event.currentTarget || (event.key !== 'Enter' && event.key !== ' ')) return;
  event.preventDefault();
  event.stopPropagation();
  act();
};

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyOverSelection(text);
  }
  toast(w.copied(), text.length > 90 ? `${text.slice(0, 90)}…` : text);
}

/** Without TLS browsers have no clipboard; a selected field does it. */
function copyOverSelection(text: string): void {
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}

export const CopyButton = ({ text, label = w.copy() }: { text: string; label?: string }) => (
  <button type="button" class="btn small" onClick={() => void copy(text)}>
    {label}
  </button>
);

/* Empty, loading, failed, partial */

export const Empty = ({ title, why, children }: { title: Children; why?: Children; children?: Children }) => (
  <div class="empty" role="status">
    <h3>{title}</h3>
    {why && <p class="dim">{why}</p>}
    {children}
  </div>
);

export const Failure = ({ error, retry }: { error: ApiError; retry?: () => void }) => (
  <div class="banner crit" role="alert">
    <Glyph state="crit" />
    <span class="grow">
      <b class="strong">{error.status === 0 && !error.message ? w.unreachable() : error.message}</b>{' '}
      <span class="faint">
        {error.line !== undefined && `${w.at({ line: error.line, column: error.column ?? 1 })} · `}
        {error.status > 0 && w.status({ status: error.status })}
      </span>
    </span>
    {retry && (
      <button type="button" class="btn small" onClick={retry}>
        {w.retry()}
      </button>
    )}
  </div>
);

export interface Stats {
  scanned: number;
  ms: number;
  partial: boolean;
  warnings?: string[];
}
export const Partial = ({ stats }: { stats: Stats | undefined }) =>
  stats?.partial ? (
    <div class="banner" role="status">
      <Glyph state="warn" />
      {w.partial({ what: (stats.warnings ?? []).join('; ') })}
    </div>
  ) : null;

/** Lines of grey where data will stand. */
export const Skeleton = ({ height = 120 }: { height?: number }) => (
  <div class="skeleton" style={{ height: `${height}px` }} role="status" aria-label={w.loading()} />
);

/** The body of a panel: its error, a skeleton before the first answer, then what was loaded, dimmed while newer comes. */
export function Panel<T>({ of, children, height }: { of: Loaded<T>; children: (data: T) => Children; height?: number }) {
  return (
    <>
      {of.error && <Failure error={of.error} retry={of.retry} />}
      {of.data === undefined ? of.loading && <Skeleton height={height ?? 120} /> : <div class={of.loading ? 'panel stale' : 'panel'}>{children(of.data)}</div>}
    </>
  );
}

export const IconButton = ({ icon, title, onClick }: { icon: Parameters<typeof Icon>[0]['name']; title: string; onClick: (event: MouseEvent) => void }) => (
  <button type="button" class="btn ghost icon" title={title} aria-label={title} onClick={onClick}>
    <Icon name={icon} />
  </button>
);
