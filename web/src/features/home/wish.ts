// From what was typed to what is sent. Pure.
import type { NewTask } from '../../api/types';
import { en } from '../../texts/en';
import type { Draft } from './drafts';

export type Verb = 'code' | 'ask' | 'plan' | 'review';

/** The task to submit, or why there is none yet. */
export function wishOf(draft: Draft, verb: Verb): { task: NewTask } | { lacks: string } {
  const repository = draft.repository.trim();
  const prompt = draft.text.trim();
  if (!repository) return { lacks: en.prompt.needRepository };
  if (!prompt && verb !== 'review') return { lacks: en.prompt.needText };
  if (verb === 'review' && !draft.branch.trim()) return { lacks: en.prompt.reviewBase };
  const task: Record<string, unknown> = {
    repository,
    prompt,
    mode: verb,
    attempts: draft.attempts,
    // Of several attempts each would ask for itself.
    questions: draft.attempts === 1 && verb === 'code',
  };
  if (draft.branch.trim()) task.ref = draft.branch.trim();
  if (draft.environment) task.environment = draft.environment;
  if (draft.model) task.model = draft.model;
  if (verb === 'review') task.review = { base: 'HEAD' };
  const dollars = Number(draft.dollars);
  if (draft.dollars && dollars > 0) task.budget = { cost: Math.round(dollars * 1_000_000) };
  return { task: task as unknown as NewTask };
}
