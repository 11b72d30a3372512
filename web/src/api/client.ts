// Asks the API: every request of the page goes through `ask`.
import type { components } from './schema';

export type Problem = components['schemas']['Problem'];

/** An answer that is a problem, or no answer at all. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title);
  }
  get status(): number {
    return this.problem.status;
  }
}

let csrf: string | undefined;

/** What `/me` gave, to be sent with every change. */
export function rememberCsrf(value: string | null | undefined): void {
  csrf = value ?? undefined;
}

async function renewCsrf(): Promise<string | undefined> {
  rememberCsrf((await ask<{ csrf?: string | null }>('/me')).csrf);
  return csrf;
}

interface Ask {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  body?: unknown;
  query?: Record<string, string | number | boolean | undefined>;
  /** Makes sending again harmless. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

/** A minute: longer than any answer takes that is not a stream. */
const LIMIT_MS = 60_000;

/**
 * One request. Rejects with a `ProblemError`; a browser that is not signed in is sent to the page
 * where it can.
 */
export async function ask<T>(path: string, options: Ask = {}): Promise<T> {
  const { method = 'GET', body, query, idempotencyKey, signal } = options;
  // A change may be asked for before the page knows who is signed in.
  if (method !== 'GET' && !csrf) await renewCsrf();
  const url = new URL(`/api/v1${path}`, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  const headers: Record<string, string> = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (method !== 'GET' && csrf) headers['x-quire-csrf'] = csrf;
  if (idempotencyKey) headers['idempotency-key'] = idempotencyKey;
  const limit = AbortSignal.timeout(LIMIT_MS);
  const sent: RequestInit = {
    method,
    headers,
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  };
  if (body !== undefined) sent.body = JSON.stringify(body);
  let answer: Response;
  try {
    answer = await fetch(url, sent);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ProblemError(noAnswer());
  }
  const text = await answer.text();
  if (answer.ok) return (text ? JSON.parse(text) : undefined) as T;
  const problem = readProblem(answer.status, text);
  if (answer.status === 401) location.assign('/sign-in');
  // Another tab signed in again, or the server began anew: its word counts, once.
  if (answer.status === 403 && method !== 'GET' && problem.detail?.includes('x-quire-csrf')) {
    const old = headers['x-quire-csrf'];
    if ((await renewCsrf()) !== old) return ask(path, options);
  }
  throw new ProblemError(problem);
}

function noAnswer(): Problem {
  return {
    type: '/problems/no-answer',
    title: 'The server did not answer',
    status: 0,
    detail: 'The server did not answer.',
    advice: 'Nothing was lost; try again when it is back.',
  } as Problem;
}

/** A proxy between may answer with anything. */
export function readProblem(status: number, text: string): Problem {
  try {
    const read = JSON.parse(text) as Partial<Problem>;
    if (typeof read.title === 'string') return { ...read, status } as Problem;
  } catch {
    // Told below.
  }
  return {
    type: '/problems/unknown',
    title: `The server answered ${status}`,
    status,
    detail: `The server answered ${status} without saying why.`,
    advice: 'Try again; a proxy may stand between.',
  } as Problem;
}
