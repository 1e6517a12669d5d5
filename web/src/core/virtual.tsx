// A long list of rows of one height, of which only those in sight exist. One row may be taller: the open one.
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

const BEYOND = 12;

interface Props {
  count: number;
  rowHeight: number;
  row: (index: number) => ComponentChildren;
  /** Where the open row is; what it shows has its own height. */
  open?: number | undefined;
  detail?: () => ComponentChildren;
  label: string;
  onEnd?: () => void;
}

/** Rows within the nearest scrolling ancestor (`main`). */
export function VirtualList({ count, rowHeight, row, open, detail, label, onEnd }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState<[number, number]>([0, 60]);
  const [extra, setExtra] = useState(0);
  const ended = useRef(-1);
  useLayoutEffect(() => {
    const scroller = box.current?.closest('main');
    if (!scroller) return undefined;
    const look = () => {
      const top = scroller.getBoundingClientRect().top - box.current!.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor((top - (open !== undefined && top > (open + 1) * rowHeight ? extra : 0)) / rowHeight) - BEYOND);
      const last = Math.min(count, first + Math.ceil(scroller.clientHeight / rowHeight) + 2 * BEYOND);
      setSeen((old) => (old[0] === first && old[1] === last ? old : [first, last]));
      if (last >= count && count > 0 && ended.current !== count) {
        ended.current = count;
        onEnd?.();
      }
    };
    look();
    scroller.addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    return () => {
      scroller.removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, [count, rowHeight, open, extra]);
  useLayoutEffect(() => setExtra(open === undefined ? 0 : (inner.current?.offsetHeight ?? 0)));
  const [first, last] = [Math.min(seen[0], count), Math.min(seen[1], count)];
  const rows = [];
  for (let i = first; i < last; i += 1) {
    rows.push(row(i));
    if (i === open) rows.push(<div key="open" ref={inner}>{detail?.()}</div>);
  }
  const above = first * rowHeight + (open !== undefined && open < first ? extra : 0);
  const below = (count - last) * rowHeight + (open !== undefined && open >= last ? extra : 0);
  return (
    <div ref={box} class="virtual" role="group" aria-label={label}>
      <div style={{ height: `${above}px` }} />
      {rows}
      <div style={{ height: `${below}px` }} />
    </div>
  );
}
