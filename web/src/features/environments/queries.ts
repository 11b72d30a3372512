// What the pages of environments ask for.
import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import { useTasks } from '../../api/tasks';
import type { Environment, Task, Wire } from '../../api/types';
import { groupOf } from '../../parts/StateMark';
import type { Told } from './recent';

/** Tasks that are looked at for what happened lately. */
const TASKS = 12;
/** Events of one attempt that are looked at. */
const EVENTS = 500;

export const environmentAt = (name: string) => `/environments/${encodeURIComponent(name)}`;

export function useEnvironments() {
  return useQuery({
    queryKey: keys.environments,
    queryFn: ({ signal }) => ask<{ environments: Environment[] }>('/environments', { signal }),
  });
}

export function useEnvironment(name: string) {
  return useQuery({
    queryKey: [...keys.environments, name],
    queryFn: ({ signal }) => ask<Environment>(environmentAt(name), { signal }),
    enabled: name !== '',
    refetchOnWindowFocus: false,
    retry: false,
  });
}

export interface SecretInfo {
  name: string;
  version: number;
  at: number;
}

export function useSecrets(name: string) {
  return useQuery({
    queryKey: [...keys.environments, name, 'secrets'],
    queryFn: ({ signal }) =>
      ask<{ secrets: SecretInfo[] }>(`${environmentAt(name)}/secrets`, { signal }),
    retry: false,
  });
}

/** The events of the newest tasks that ran in an environment, newest task first. */
export function useLately(name: string) {
  const newest = (useTasks().data?.tasks ?? []).slice(0, TASKS);
  const tasks = useQueries({
    queries: newest.map((row) => ({
      queryKey: keys.task(row.task),
      queryFn: ({ signal }: { signal: AbortSignal }) => ask<Task>(`/tasks/${row.task}`, { signal }),
      staleTime: 60_000,
    })),
  });
  const inside = tasks.flatMap((answer) => {
    const task = answer.data;
    const turn = task?.history.findLast((one) => one.environment?.name === name);
    const attempt = turn?.attempts[0];
    return task && attempt ? [{ task, attempt }] : [];
  });
  const events = useQueries({
    queries: inside.map(({ task, attempt }) => ({
      // Asked again when it ends: what came last came after the last look.
      queryKey: ['events', attempt.id, groupOf(task.state)],
      placeholderData: keepPreviousData<{ events: Wire[] } | undefined>,
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        ask<{ events: Wire[] }>(`/attempts/${attempt.id}/events`, {
          query: { limit: EVENTS },
          signal,
        }),
      refetchInterval: groupOf(task.state) === 'working' ? 1500 : (false as const),
    })),
  });
  const told: Told[] = inside.flatMap(({ task }, index) => {
    const found = events[index]?.data?.events;
    return found ? [{ task: task.task, events: found }] : [];
  });
  return {
    told,
    pending: tasks.some((one) => one.isPending) || events.some((one) => one.isPending),
  };
}
