// The names under which answers are kept. One place, so that a change knows what it makes old.
export const keys = {
  me: ['me'] as const,
  tasks: (filter: Record<string, unknown> = {}) => ['tasks', filter] as const,
  task: (number: number) => ['task', number] as const,
  result: (attempt: string) => ['result', attempt] as const,
  change: (attempt: string) => ['change', attempt] as const,
  lines: (attempt: string, chunk: string) => ['lines', attempt, chunk] as const,
  repositories: ['repositories'] as const,
  branches: (repository: string) => ['branches', repository] as const,
  environments: ['environments'] as const,
  models: ['models'] as const,
};
