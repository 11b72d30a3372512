// Believe or not: the citations after a machine has looked, and how to look again elsewhere.
import type { CheckedCitation, Task } from '../../api/types';
import { CopyLine } from '../../parts/small';
import { en } from '../../texts/en';
import { linesOf, sourceOf, warning } from './citations';

export function EvidenceView({
  attempt,
  task,
  citations,
  events,
}: {
  attempt: string;
  task: Task;
  citations: CheckedCitation[];
  events: number;
}) {
  const good = citations.filter((one) => one.verdict.verdict === 'resolved').length;
  const result = task.attempts.find((one) => one.id === attempt)?.result;
  const run = result?.checks_run ?? 0;
  const figures = [
    [en.evidence.citations, en.evidence.of(good, citations.length), en.evidence.verified],
    [
      en.evidence.checks,
      run > 0 ? en.evidence.of(result?.checks_passed ?? 0, run) : '–',
      run > 0 ? en.evidence.passed : en.evidence.none,
    ],
    [en.evidence.record, en.evidence.events(events), result?.final_hash?.slice(0, 10) ?? ''],
  ];
  return (
    <div className="space-y-5 p-4">
      <dl className="grid grid-cols-3 rounded-l border border-line bg-raised max-sm:grid-cols-1">
        {figures.map(([name, value, what]) => (
          <div
            key={name}
            className="border-line px-4 py-3 not-first:border-l max-sm:not-first:border-t max-sm:not-first:border-l-0"
          >
            <dt className="text-12 text-ink-3">{name}</dt>
            <dd>
              <span className="text-16 font-semibold tabular-nums">{value}</span>{' '}
              <span className="text-12 text-ink-2">{what}</span>
            </dd>
          </div>
        ))}
      </dl>
      <section>
        <h2 className="text-14 font-semibold">{en.evidence.citations}</h2>
        <p className="mb-2 text-12 text-ink-3">{en.evidence.by}</p>
        {citations.length === 0 ? (
          <p className="text-ink-2">{en.task.citesNothing}</p>
        ) : (
          <div
            className="overflow-x-auto rounded-l border border-line bg-raised"
            tabIndex={0}
            role="region"
            aria-label={en.evidence.citations}
          >
            <table className="w-full text-left">
              <thead>
                <tr className="border-b border-line text-12 text-ink-3">
                  {en.evidence.columns.map((column) => (
                    <th key={column} className="px-3 py-2 font-medium">
                      {column}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {citations.map((one, index) => {
                  const bad = one.verdict.verdict === 'rejected';
                  const told = warning(one);
                  return (
                    <tr
                      key={index}
                      className={`border-b border-line last:border-0 ${bad ? 'bg-bad-bg' : ''}`}
                    >
                      <td className="px-3 py-2 tabular-nums">{index + 1}</td>
                      <td className="px-3 py-2 font-mono text-12">{sourceOf(one)}</td>
                      <td className="px-3 py-2 tabular-nums">{linesOf(one)}</td>
                      <td className="px-3 py-2">
                        <span className={bad ? 'text-bad' : 'text-ok'}>
                          {en.evidence.result[one.verdict.verdict]}
                        </span>
                        {told && (
                          <span className={`block text-12 ${bad ? 'text-bad' : 'text-ink-2'}`}>
                            {told}
                          </span>
                        )}
                      </td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        )}
      </section>
      <section className="space-y-2">
        <a className="text-accent underline" href={`/api/v1/attempts/${attempt}/evidence`}>
          {en.evidence.download}
        </a>
        <p className="text-ink-2">{en.evidence.verify}</p>
        <CopyLine
          text={`quire verify task-${task.task}.${task.attempts.find((one) => one.id === attempt)?.attempt ?? 1}.evidence.jsonl`}
        />
      </section>
    </div>
  );
}
