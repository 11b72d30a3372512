// Tasks: read, kept current by the stream, and acted upon.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { ask } from './client';
import { keys } from './keys';
import { listen } from './stream';
import type { NewTask, NewTurn, Task, TaskPage, TaskSummary, Wanted } from './types';

/** How many rows a list reads at once. */
const PAGE = 500;

/** The newest tasks. */
export function useTasks() {
  return useQuery({
    queryKey: keys.tasks(),
    queryFn: ({ signal }) => ask<TaskPage>('/tasks', { query: { limit: PAGE }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function useTask(number: number) {
  return useQuery({
    queryKey: keys.task(number),
    queryFn: ({ signal }) => ask<Task>(`/tasks/${number}`, { signal }),
  });
}

/** The list after some of its tasks changed. Pure: newest first, one row a task, archived ones gone. */
export function withChanged(page: TaskPage, changed: TaskSummary[]): TaskPage {
  const newer = new Map<number, TaskSummary>();
  for (const task of changed) newer.set(task.task, task);
  const kept = page.tasks.map((old) => {
    const now = newer.get(old.task);
    newer.delete(old.task);
    return now && now.changed >= old.changed ? now : old;
  });
  const tasks = [...newer.values(), ...kept]
    .filter((task) => !task.archived_at)
    .sort((a, b) => b.task - a.task);
  const upto = changed.reduce((most, task) => Math.max(most, task.changed), page.changed);
  return { ...page, tasks, changed: upto };
}

/** Keeps every list and task that is shown current. Used once, by the shell. */
export function useWorkspaceStream(ready: boolean): void {
  const client = useQueryClient();
  const { data } = useTasks();
  const from = data?.changed;
  const begun = from !== undefined && ready;
  // biome-ignore lint/correctness/useExhaustiveDependencies: it begins once, at the first list.
  useEffect(() => {
    if (!begun) return;
    return listen('/events', { after: String(from) }, ['task'], (batch) => {
      const changed = batch.map((item) => item.data as TaskSummary);
      client.setQueryData<TaskPage>(keys.tasks(), (page) => page && withChanged(page, changed));
      for (const task of changed) client.invalidateQueries({ queryKey: keys.task(task.task) });
    });
  }, [begun, client]);
}

/** Hands a task in. The same key sent twice makes one task. */
export function useSubmit() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ task, key }: { task: NewTask; key: string }) =>
      ask<Task>('/tasks', { method: 'POST', body: task, idempotencyKey: key }),
    onSuccess: (task) => {
      client.setQueryData<TaskPage>(keys.tasks(), (page) => page && withChanged(page, [task]));
    },
  });
}

/** What a person can do to a task; each makes what is shown of it old. */
export function useTaskActions(number: number) {
  const client = useQueryClient();
  const settle = { onSettled: () => client.invalidateQueries({ queryKey: keys.task(number) }) };
  const input = useMutation({
    mutationFn: (wanted: Wanted) =>
      ask(`/tasks/${number}/inputs`, { method: 'POST', body: wanted }),
    ...settle,
  });
  const turn = useMutation({
    mutationFn: (next: NewTurn) => ask(`/tasks/${number}/turns`, { method: 'POST', body: next }),
    ...settle,
  });
  const retry = useMutation({
    mutationFn: (attempt: number) =>
      ask(`/tasks/${number}/retry`, { method: 'POST', body: { attempt } }),
    ...settle,
  });
  return { input, turn, retry };
}

export function archive(number: number, away: boolean): Promise<unknown> {
  return ask(`/tasks/${number}/archived`, { method: away ? 'PUT' : 'DELETE' });
}
