// Asking for what a part of a screen shows. What was shown stays, dimmed, while the new comes; an answer that is
// not wanted any more is cancelled on the server; nothing is asked twice at once.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, tokenChanges } from './api';

export interface Loaded<T> {
  data: T | undefined;
  error: ApiError | undefined;
  loading: boolean;
  /** Asks again. */
  retry: () => void;
}

/** `key` names what is asked for; it is asked again when the key changes. Without a key nothing is asked. */
export function useLoad<T>(key: string | undefined, ask: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, 'retry'>>({ data: undefined, error: undefined, loading: key !== undefined });
  const [again, setAgain] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;
  const token = tokenChanges.value;
  useEffect(() => {
    if (key === undefined) {
      setState({ data: undefined, error: undefined, loading: false });
      return;
    }
    const abort = new AbortController();
    setState((before) => ({ ...before, loading: true }));
    latest
      .current(abort.signal)
      .then((data) => !abort.signal.aborted && setState({ data, error: undefined, loading: false }))
      .catch((error: unknown) => {
        if (abort.signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(String(error), 0);
        setState((before) => ({ data: before.data, error: known, loading: false }));
      });
    return () => abort.abort();
  }, [key, again, token]);
  return { ...state, retry: () => setAgain(again + 1) };
}
