// What went wrong, what to do, and the typed kind in grey for searching.
import { ProblemError } from '../api/client';
import { en } from '../texts/en';
import { Button } from './Button';

export function Problem({ error, again }: { error: unknown; again?: () => void }) {
  const problem = error instanceof ProblemError ? error.problem : undefined;
  return (
    <div role="alert" className="rounded-l border border-bad bg-bad-bg p-4 text-bad">
      <p className="font-semibold">{problem?.detail ?? problem?.title ?? String(error)}</p>
      {problem?.advice && <p className="text-ink">{problem.advice}</p>}
      {problem?.type && (
        <p className="mt-1 font-mono text-11 text-ink-2">
          {problem.type.replace('/problems/', '')}
        </p>
      )}
      {again && (
        <Button small className="mt-3 text-ink" onClick={again}>
          {en.again}
        </Button>
      )}
    </div>
  );
}
