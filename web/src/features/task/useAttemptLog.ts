// The logs of a task's attempts, kept by the task's stream.
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { keys } from '../../api/keys';
import { listen } from '../../api/stream';
import type { Wire } from '../../api/types';
import { type AttemptLog, emptyLog, fold } from './attemptLog';

/** Logs by the attempt's id, of the newest turn and of what begins while one watches. */
export function useAttemptLogs(task: number): Record<string, AttemptLog> {
  const [logs, setLogs] = useState<Record<string, AttemptLog>>({});
  const client = useQueryClient();
  useEffect(() => {
    setLogs({});
    return listen(`/tasks/${task}/events`, {}, ['event', 'task'], (batch) => {
      const events = new Map<string, Wire[]>();
      for (const { kind, data } of batch) {
        if (kind !== 'event') continue;
        const { attempt, event } = data as { attempt: string; event: Wire };
        events.set(attempt, [...(events.get(attempt) ?? []), event]);
      }
      setLogs((before) => {
        const next = { ...before };
        for (const [attempt, some] of events) next[attempt] = fold(next[attempt] ?? emptyLog, some);
        return next;
      });
      if (batch.some((one) => one.kind === 'task'))
        client.invalidateQueries({ queryKey: keys.task(task) });
    });
  }, [task, client]);
  return logs;
}
