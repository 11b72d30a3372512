// Event streams: one connection that comes back by itself, and says when it is behind.

import { useSyncExternalStore } from 'react';
import { ask } from './client';

/** Since when the page is behind, by stream; empty while all are live. */
const behind = new Map<string, number>();
const listeners = new Set<() => void>();
let oldest: number | null = null;

function tell(): void {
  oldest = behind.size === 0 ? null : Math.min(...behind.values());
  for (const listener of listeners) listener();
}

/** When the page fell behind, in milliseconds since 1970; `null` while it is live. */
export function useStaleSince(): number | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => oldest,
  );
}

/** How long what arrives is collected before it is handed on, in milliseconds. */
const BATCH_MS = 50;

export interface Streamed {
  kind: string;
  data: unknown;
}

/**
 * Listens to `path` until the returned function is called. What comes is handed on in batches, in
 * order. A browser reconnects with the last id by itself; what it gives up on, or what the server
 * sent `resync` for, is opened again here.
 */
export function listen(
  path: string,
  query: Record<string, string>,
  kinds: string[],
  hand: (batch: Streamed[]) => void,
): () => void {
  let source: EventSource | undefined;
  let after = query.after;
  let waiting: Streamed[] = [];
  let flushing: ReturnType<typeof setTimeout> | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  let tries = 0;
  const name = `${path}#${crypto.randomUUID()}`;

  const flush = () => {
    flushing = undefined;
    const batch = waiting;
    waiting = [];
    if (batch.length > 0) hand(batch);
  };
  const come = (kind: string) => (event: MessageEvent<string>) => {
    if (event.lastEventId) after = event.lastEventId;
    try {
      waiting.push({ kind, data: JSON.parse(event.data) });
    } catch {
      return;
    }
    flushing ??= setTimeout(flush, BATCH_MS);
  };
  const late = () => {
    if (!behind.has(name)) behind.set(name, Date.now());
    tell();
  };
  const reopen = () => {
    source?.close();
    clearTimeout(again);
    again = setTimeout(open, Math.min(1000 * 2 ** tries++, 15_000));
  };
  function open(): void {
    const url = new URL(`/api/v1${path}`, location.origin);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
    if (after) url.searchParams.set('after', after);
    source = new EventSource(url);
    source.onopen = () => {
      tries = 0;
      if (behind.delete(name)) tell();
    };
    source.onerror = () => {
      late();
      if (source?.readyState !== EventSource.CLOSED) return;
      // It may be that nobody is signed in any more: asking takes the page to where one can.
      ask('/me').catch(() => undefined);
      reopen();
    };
    source.addEventListener('resync', (event: MessageEvent<string>) => {
      try {
        after = (JSON.parse(event.data) as { after: string }).after;
      } catch {
        // It begins where it was.
      }
      reopen();
    });
    for (const kind of kinds) source.addEventListener(kind, come(kind));
  }
  open();
  return () => {
    source?.close();
    clearTimeout(flushing);
    clearTimeout(again);
    if (behind.delete(name)) tell();
  };
}
