// Everything that lies above a screen: menus, dialogs, toasts. Escape closes the topmost; focus stays within a
// dialog and goes back to where it was.
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';

interface Layer {
  id: number;
  /** Shown behind a veil, with the focus kept inside. */
  modal: boolean;
  at?: { x: number; y: number; right?: boolean };
  body: () => ComponentChildren;
  back: Element | null;
}

const layers = signal<Layer[]>([]);
let nextId = 1;

export function open(body: () => ComponentChildren, { modal = false, at }: { modal?: boolean; at?: Layer['at'] } = {}): void {
  layers.value = [...layers.value, { id: nextId++, modal, at, body, back: document.activeElement }];
}

/** Below an element, aligned with its left or right edge. */
export function openAt(anchor: Element, body: () => ComponentChildren, right = false): void {
  const box = anchor.getBoundingClientRect();
  open(body, { at: { x: right ? box.right : box.left, y: box.bottom + 4, right } });
}

export function closeTop(): boolean {
  const top = layers.value.at(-1);
  if (!top) return false;
  layers.value = layers.value.slice(0, -1);
  if (top.back instanceof HTMLElement) top.back.focus();
  return true;
}
export const closeAll = (): void => void (layers.value = []);
export const hasLayer = (): boolean => layers.value.length > 0;

const FOCUSABLE = 'a[href], button:not([disabled]), input, textarea, select, [tabindex="0"]';

/** Tab goes round within a dialog. */
function keepFocus(event: KeyboardEvent, box: Element): void {
  if (event.key !== 'Tab') return;
  const all = [...box.querySelectorAll<HTMLElement>(FOCUSABLE)];
  const [first, last] = [all[0], all.at(-1)];
  const at = document.activeElement;
  if (event.shiftKey ? at === first : at === last) {
    event.preventDefault();
    (event.shiftKey ? last : first)?.focus();
  }
}

function LayerBox({ layer }: { layer: Layer }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const inner = box.current?.firstElementChild as HTMLElement | null;
    if (!inner) return;
    if (layer.at) {
      const { x, y, right } = layer.at;
      const left = right ? x - inner.offsetWidth : x;
      inner.style.left = `${Math.max(8, Math.min(left, innerWidth - inner.offsetWidth - 8))}px`;
      inner.style.top = `${Math.max(8, Math.min(y, innerHeight - inner.offsetHeight - 8))}px`;
    }
    if (!inner.contains(document.activeElement)) (inner.querySelector<HTMLElement>('[data-focus]') ?? inner.querySelector<HTMLElement>(FOCUSABLE))?.focus();
  }, []);
  return (
    <div
      ref={box}
      class={layer.modal ? 'over veil' : 'over'}
      onPointerDown={(event) => event.target === event.currentTarget && closeTop()}
      onKeyDown={(event) => keepFocus(event, event.currentTarget)}
    >
      {layer.body()}
    </div>
  );
}

export const Layers = () => (
  <>
    {layers.value.map((layer) => (
      <LayerBox key={layer.id} layer={layer} />
    ))}
  </>
);

export interface MenuItem {
  text: ComponentChildren;
  note?: string;
  href?: string;
  act?: () => void;
}

function MenuBox({ title, items }: { title?: string | undefined; items: MenuItem[] }) {
  const move = (event: KeyboardEvent) => {
    const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (!by) return;
    const all = [...(event.currentTarget as Element).querySelectorAll<HTMLElement>('[role=menuitem]')];
    const at = all.indexOf(document.activeElement as HTMLElement);
    all[(at + by + all.length) % all.length]?.focus();
    event.preventDefault();
    event.stopPropagation();
  };
  const pick = (item: MenuItem) => () => {
    closeTop();
    item.act?.();
  };
  return (
    <div class="pop menu">
      {title && <header>{title}</header>}
      <div role="menu" onKeyDown={move}>
        {items.map((item, i) =>
          item.href ? (
            <a key={i} role="menuitem" href={item.href} onClick={pick(item)}>
              <span>{item.text}</span>
              <small>{item.note}</small>
            </a>
          ) : (
            <button key={i} type="button" role="menuitem" onClick={pick(item)}>
              <span>{item.text}</span>
              <small>{item.note}</small>
            </button>
          ),
        )}
      </div>
    </div>
  );
}

export const menuAt = (x: number, y: number, items: MenuItem[], title?: string): void =>
  open(() => <MenuBox title={title} items={items} />, { at: { x, y } });
export const menuBelow = (anchor: Element, items: MenuItem[], title?: string): void => openAt(anchor, () => <MenuBox title={title} items={items} />);

/* Toasts */

interface Toast {
  id: number;
  text: string;
  detail?: string | undefined;
  undo?: { text: string; act: () => void } | undefined;
}
const toasts = signal<Toast[]>([]);
const drop = (id: number) => void (toasts.value = toasts.value.filter((one) => one.id !== id));

export function toast(text: string, detail?: string, undo?: Toast['undo']): void {
  toasts.value = [...toasts.value.slice(-2), { id: nextId++, text, detail, undo }];
}

function ToastBox({ one }: { one: Toast }) {
  useEffect(() => {
    const timer = setTimeout(() => drop(one.id), 5000);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="toast">
      <span class="grow">
        {one.text}
        {one.detail && <small>{one.detail}</small>}
      </span>
      {one.undo && (
        <button
          type="button"
          class="btn small"
          onClick={() => {
            drop(one.id);
            one.undo?.act();
          }}
        >
          {one.undo.text}
        </button>
      )}
    </div>
  );
}

export const Toasts = () => (
  <div id="toasts" role="status" aria-live="polite">
    {toasts.value.map((one) => (
      <ToastBox key={one.id} one={one} />
    ))}
  </div>
);
