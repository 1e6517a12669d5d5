// The lines that are shown: the newest page, older pages as one scrolls, new lines while one follows.
import { signal, useEffect, useLoad, useRef, useState, type Loaded, type Window } from '../../core';
import { after, askedOf, before, find, unseen, type Found, type Line } from './data';

const TAIL_MS = 2000;
const LINES_MAX = 20_000;

export interface Shown {
  base: Loaded<Found>;
  lines: Line[];
  /** Came while following. */
  fresh: number;
  more: () => void;
  atStart: boolean;
}

/** While a line is open, or one follows, the window of the lines stays, so that nothing moves under the hand. */
export function useLines(query: string | undefined, window: Window, stepMs: number, isHeld: boolean, isTailing: boolean): Shown {
  const held = useRef(window);
  if (!isHeld && !isTailing) held.current = window;
  const { from, to } = held.current;
  const key = query === undefined ? undefined : `lines ${query} ${from} ${to}`;
  const base = useLoad(key, (abort) => find(askedOf(query!, held.current), stepMs, abort));
  const [older, setOlder] = useState<{ key: string; lines: Line[]; done: boolean }>({ key: '', lines: [], done: false });
  const mine = older.key === key ? older : { key: key ?? '', lines: [], done: false };
  const fresh = useTail(query, key, base.data?.lines[0]?.ns, isTailing);
  const first = base.data?.lines ?? [];
  const lines = [...fresh, ...first, ...mine.lines];
  const atStart = mine.done || !base.data?.more;
  const more = () => {
    const last = lines.at(-1);
    if (!last || atStart || lines.length >= LINES_MAX || query === undefined) return;
    void find(before(askedOf(query, held.current), last), stepMs, new AbortController().signal).then(
      (found) => setOlder({ key: key!, lines: [...mine.lines, ...unseen(lines, found.lines)], done: !found.more }),
      () => undefined,
    );
  };
  return { base: { ...base, loading: base.loading || query === undefined }, lines, fresh: fresh.length, more, atStart };
}

const hidden = signal(document.hidden);
document.addEventListener('visibilitychange', () => void (hidden.value = document.hidden));

function useTail(query: string | undefined, key: string | undefined, newest: string | undefined, isTailing: boolean): Line[] {
  const [fresh, setFresh] = useState<{ key: string; lines: Line[] }>({ key: '', lines: [] });
  const mine = fresh.key === key ? fresh.lines : [];
  const latest = useRef({ mine, newest });
  latest.current = { mine, newest };
  const isHidden = hidden.value;
  useEffect(() => {
    if (!isTailing || query === undefined || key === undefined || isHidden) return undefined;
    const abort = new AbortController();
    let busy = false;
    const ask = async () => {
      if (busy) return;
      busy = true;
      const { mine, newest } = latest.current;
      const since = mine[0]?.ns ?? newest ?? (BigInt(Date.now() - TAIL_MS) * 1_000_000n).toString();
      const found = await find(after(askedOf(query, { from: 0, to: 0 }), since, Date.now()), 1000, abort.signal).catch(() => undefined);
      busy = false;
      if (found && found.lines.length > 0 && !abort.signal.aborted) setFresh({ key, lines: [...found.lines, ...latest.current.mine].slice(0, LINES_MAX) });
    };
    const timer = setInterval(() => void ask(), TAIL_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, [isTailing, query, key, isHidden]);
  return isTailing ? mine : [];
}
