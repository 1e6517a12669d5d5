// Calls of the server: relative addresses, a token where one was typed, errors with what the server said.
import { signal } from '@preact/signals';

const TOKEN_KEY = 'mirador-token';
const TENANT_KEY = 'mirador-tenant';

/** The API stands beside the folder of the page. */
export const apiUrl = (path: string): string => new URL(`..${path}`, new URL('.', location.href)).href;

/** A call was refused for lack of credentials: the shell asks for a token. */
export const needsToken = signal<'missing' | 'wrong' | undefined>(undefined);
/** Grows when a token was typed, so that everything is asked for again. */
export const tokenChanges = signal(0);
/** The clock of the server minus the browser's, in milliseconds, as far as answers told. */
export const clockSkew = signal<number | undefined>(undefined);

export function saveToken(token: string, tenant: string): void {
  const keep = (key: string, value: string) => (value ? sessionStorage.setItem(key, value) : sessionStorage.removeItem(key));
  keep(TOKEN_KEY, token);
  keep(TENANT_KEY, tenant);
  needsToken.value = undefined;
  tokenChanges.value += 1;
}

export class ApiError extends Error {
  constructor(
    message: string,
    /** 0: the server could not be reached. */
    readonly status: number,
    readonly line?: number,
    readonly column?: number,
  ) {
    super(message);
  }
}

export type Query = Record<string, string | number | undefined>;

export function withQuery(path: string, query: Query = {}): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const search = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString();
  return search ? `${path}?${search}` : path;
}

export interface Options {
  signal?: AbortSignal;
  method?: string;
  /** Sent as JSON. */
  json?: unknown;
}

export function headers(): Record<string, string> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const tenant = sessionStorage.getItem(TENANT_KEY);
  return { ...(token && { authorization: `Bearer ${token}` }), ...(tenant && { 'x-scope-orgid': tenant }) };
}

/** What the body of an error says, in whichever protocol's words. */
export function errorOf(status: number, text: string): ApiError {
  try {
    const body = JSON.parse(text) as Record<string, unknown> | string;
    if (typeof body === 'string') return new ApiError(body, status);
    const said = body.error ?? body.message ?? text;
    const number = (value: unknown) => (typeof value === 'number' ? value : undefined);
    return new ApiError(String(said).slice(0, 1000), status, number(body.line), number(body.column));
  } catch {
    return new ApiError(text.trim().slice(0, 1000) || `HTTP ${status}`, status);
  }
}

async function send(path: string, options: Options): Promise<Response> {
  const body = options.json === undefined ? undefined : JSON.stringify(options.json);
  const type = body === undefined ? undefined : { 'content-type': 'application/json' };
  const init = { method: options.method ?? 'GET', headers: { ...headers(), ...type }, body, signal: options.signal ?? null };
  try {
    // Without credentials of the browser's own, so that it does not ask for a password over the page.
    return await fetch(apiUrl(path), { ...init, cache: 'no-store', credentials: 'omit' });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError('', 0);
  }
}

/** The answer, where it is none of an error. */
async function ask(path: string, query: Query, options: Options): Promise<Response> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const response = await send(withQuery(path, query), options);
  noteClock(response);
  // A late answer to a token that was replaced meanwhile says nothing of the new one.
  if (response.status === 401 && token === sessionStorage.getItem(TOKEN_KEY)) needsToken.value = token ? 'wrong' : 'missing';
  if (!response.ok) throw errorOf(response.status, await response.text());
  return response;
}

export async function call<T>(path: string, query: Query = {}, options: Options = {}): Promise<T> {
  const text = await (await ask(path, query, options)).text();
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** The whole lines of a text that grows, and what follows the last of them. */
export function takeLines(text: string): [lines: string[], rest: string] {
  const parts = text.split('\n');
  const rest = parts.pop() ?? '';
  return [parts.filter((line) => line !== ''), rest];
}

/** An answer of a JSON value a line; each is told as soon as it has come. */
export async function callLines<T>(path: string, query: Query, onLine: (line: T) => void, options: Options = {}): Promise<void> {
  const response = await ask(path, query, options);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    const [lines, more] = takeLines(rest + (done ? '\n' : value));
    for (const line of lines) onLine(JSON.parse(line) as T);
    rest = more;
    if (done) return;
  }
}

/** The header tells whole seconds, so half of one is taken as no difference. */
function noteClock(response: Response): void {
  const date = Date.parse(response.headers.get('date') ?? '');
  if (!Number.isNaN(date)) clockSkew.value = date + 500 - Date.now();
}

/* Prometheus' API */

export type Labels = Record<string, string>;
export interface Series {
  labels: Labels;
  /** Milliseconds and value. */
  points: [number, number][];
}

interface PromAnswer<T> {
  status: string;
  data: T;
  warnings?: string[];
}
interface Result {
  resultType: string;
  result: { metric: Labels; value?: [number, string]; values?: [number, string][] }[];
}

const number = (text: string) => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));
const seriesOf = (result: Result['result']): Series[] =>
  result.map(({ metric, value, values }) => ({
    labels: metric,
    points: (values ?? (value ? [value] : [])).map(([at, text]) => [at * 1000, number(text)]),
  }));

/** A query over a window; points stand at multiples of the step, so that they do not dance while time goes on. */
export async function queryRange(query: string, from: number, to: number, stepMs: number, options: Options = {}): Promise<Series[]> {
  const step = Math.max(1000, stepMs);
  const start = Math.ceil(from / step) * step;
  const end = Math.max(start, Math.floor(to / step) * step);
  const asked = { query, start: start / 1000, end: end / 1000, step: step / 1000 };
  const answer = await call<PromAnswer<Result>>('/api/v1/query_range', asked, options);
  return seriesOf(answer.data.result);
}

export async function queryAt(query: string, at: number, options: Options = {}): Promise<Series[]> {
  const answer = await call<PromAnswer<Result & { result: unknown }>>('/api/v1/query', { query, time: at / 1000 }, options);
  if (answer.data.resultType === 'scalar') {
    const [time, value] = answer.data.result as unknown as [number, string];
    return [{ labels: {}, points: [[time * 1000, number(value)]] }];
  }
  return seriesOf(answer.data.result as Result['result']);
}

export async function prom<T>(path: string, query: Query = {}, options: Options = {}): Promise<T> {
  return (await call<PromAnswer<T>>(`/api/v1/${path}`, query, options)).data;
}

/** A label's value as PromQL and LogQL write it. */
export const quote = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`;
