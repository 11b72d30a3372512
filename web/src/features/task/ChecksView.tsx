// The checks that Quire ran itself on the final commit.
import { useQuery } from '@tanstack/react-query';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import type { AttemptResult } from '../../api/types';
import { Empty, Skeleton } from '../../parts/Empty';
import { Icon } from '../../parts/Icon';
import { Problem } from '../../parts/Problem';
import { en } from '../../texts/en';
import { took } from '../../texts/format';

interface Check {
  check: { name?: string; command: string };
  exit?: { code?: number };
  ms: number;
  chunk: string;
  touched_tests?: string[];
}

export function ChecksView({ attempt, open }: { attempt: string; open: (chunk: string) => void }) {
  const result = useQuery({
    queryKey: keys.result(attempt),
    queryFn: ({ signal }) => ask<AttemptResult>(`/attempts/${attempt}/result`, { signal }),
  });
  if (result.isPending) return <Skeleton rows={3} height={36} />;
  if (result.isError)
    return (
      <div className="p-4">
        <Problem error={result.error} />
      </div>
    );
  const checks = result.data.checks as unknown as Check[];
  if (checks.length === 0) return <Empty title={en.checks.none}>{en.checks.hint}</Empty>;
  return checks.map((one) => {
    const passed = one.exit?.code === 0;
    return (
      <button
        key={one.chunk}
        type="button"
        onClick={() => open(one.chunk)}
        className="flex min-h-10 w-full items-center gap-3 border-b border-line px-4 py-2 text-left hover:bg-hover"
      >
        <span className={passed ? 'text-ok' : 'text-bad'}>
          <Icon name={passed ? 'check' : 'cross'} />
        </span>
        <code className="min-w-0 flex-1 truncate font-mono text-12">
          {one.check.name ?? one.check.command}
        </code>
        <span className={passed ? 'text-ok' : 'text-bad'}>
          {passed ? en.checks.passed : en.checks.failed}
        </span>
        <span className="w-16 text-right text-12 text-ink-3 tabular-nums">{took(one.ms)}</span>
      </button>
    );
  });
}
