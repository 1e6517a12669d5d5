// Asking: sources answer one by one. Leaving the screen, or asking something else, ends the work on the server.
import { ApiError, callLines, queryRange, quote, stepFor, ENTRY_SPANS, tokenChanges, useEffect, useState, type Point, type Window } from '../../core';
import { askedOf, withLine, type Answers, type Line, type Question } from './model';

export interface Explained {
  /** Of the question before, until the first line of this one has come. */
  answers: Answers;
  error: ApiError | undefined;
  loading: boolean;
  isOld: boolean;
  retry: () => void;
}

export function useExplained(question: Question): Explained {
  const asked = askedOf(question);
  const key = JSON.stringify(asked);
  const [state, setState] = useState<Omit<Explained, 'retry'>>({ answers: { sources: {} }, error: undefined, loading: true, isOld: false });
  const [again, setAgain] = useState(0);
  const token = tokenChanges.value;
  useEffect(() => {
    const abort = new AbortController();
    let answers: Answers = { sources: {} };
    setState((before) => ({ ...before, error: undefined, loading: true, isOld: before.answers.all !== undefined }));
    const onLine = (line: Line) => {
      answers = withLine(answers, line);
      if (!abort.signal.aborted) setState({ answers, error: undefined, loading: !answers.all, isOld: false });
    };
    const ended = () => {
      if (!answers.all) throw new ApiError('', 0);
    };
    const failed = (error: unknown) => {
      if (abort.signal.aborted) return;
      const known = error instanceof ApiError ? error : new ApiError('', 0);
      setState({ answers, error: known, loading: false, isOld: false });
    };
    callLines<Line>('/api/ui/v1/explain', asked, onLine, { signal: abort.signal }).then(ended).catch(failed);
    return () => abort.abort();
  }, [key, again, token]);
  return { ...state, retry: () => setAgain(again + 1) };
}

/** The p95 of what the question is about, over baseline and selection. */
export async function p95({ from, to }: Window, service: string, signal: AbortSignal): Promise<{ points: Point[]; step: number }> {
  const step = Math.max(15_000, stepFor({ from, to }, 120));
  const of = `${ENTRY_SPANS}${service && `,service=${quote(service)}`}`;
  const query = `1000 * histogram_quantile(0.95, sum by (le) (rate(traces_spanmetrics_latency_bucket{${of}}[${Math.max(60, step / 1000)}s])))`;
  const [series] = await queryRange(query, from, to, step, { signal });
  return { points: (series?.points ?? []).filter(([, ms]) => Number.isFinite(ms)), step };
}
