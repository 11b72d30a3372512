// The words of the wire that pages use, by the document's names. Nothing here is written by hand
// that the document says; what it leaves open (bodies of events) is narrowed below.
import type { components } from './schema';

type S = components['schemas'];
export type Task = S['Task'];
export type TaskSummary = S['TaskSummary'];
export type TaskPage = S['TaskPage'];
export type Turn = S['Turn'];
export type AttemptSummary = S['AttemptSummary'];
export type State = S['State'];
export type NewTask = S['NewTask'];
export type NewTurn = S['NewTurn'];
export type Me = S['Me'];
export type Change = S['Change'];
export type FileChange = S['FileChange'];
export type OutputLines = S['OutputLines'];
export type AttemptResult = S['AttemptResult'];
export type Wanted = S['NewInput'];
export type Wire = S['Event'];
export type UsageLine = S['UsageLine'];
export type Environment = S['Environment'];
export type Model = S['Model'];
export type Repository = S['Repository'];

export interface CheckedCitation {
  citation: { target: { file?: string; chunk?: string }; lines: { first: number; last: number } };
  verdict:
    | { verdict: 'resolved'; at?: string; source: string; text: string; marks?: CitationMark[] }
    | { verdict: 'rejected'; why: string };
}
export type CitationMark = 'unseen' | 'stale' | 'deleted' | 'unchanged';
export interface PlanStep {
  step: string;
  status: 'pending' | 'in_progress' | 'completed';
}
export interface Exit {
  code?: number;
  signal?: number | string;
}
