// What an attempt's events come to: a fold, so that the page is a reading of the log and no more.
import type { CheckedCitation, Exit, PlanStep, Wire } from '../../api/types';

export interface Command {
  kind: 'command';
  id: string;
  at: number;
  command: string;
  purpose: string;
  end?: { ms: number; exit: Exit; lines: number; bytes: number; by?: string };
}
export interface PhaseEntry {
  kind: 'phase';
  id: string;
  at: number;
  phase: string;
  end?: { ms: number; detail: string; failed: boolean };
}
export interface Note {
  kind: 'note';
  id: string;
  at: number;
  what: 'patch' | 'patchRejected' | 'instructions' | 'denied';
  text: string;
}
export type Entry = Command | PhaseEntry | Note;
export type Spoken = { id: string; at: number; by: 'quire' | 'you'; text: string };
export interface Question {
  text: string;
  choices: { label: string; detail?: string }[];
}
export interface AttemptLog {
  /** The last event that was folded; what came before is passed over. */
  seq: number;
  entries: Entry[];
  spoken: Spoken[];
  plan: PlanStep[];
  citations: CheckedCitation[];
  answer?: string;
  answeredAt?: number;
  question?: Question;
  failure?: string;
}

export const emptyLog: AttemptLog = { seq: 0, entries: [], spoken: [], plan: [], citations: [] };

// biome-ignore lint/suspicious/noExplicitAny: the document leaves bodies of events open.
type Body = any;

/** The log after more events. Events that it knows already change nothing. */
export function fold(log: AttemptLog, events: Wire[]): AttemptLog {
  const fresh = events.filter((event) => event.seq > log.seq).sort((a, b) => a.seq - b.seq);
  if (fresh.length === 0) return log;
  const next: AttemptLog = {
    ...log,
    entries: [...log.entries],
    spoken: [...log.spoken],
    citations: [...log.citations],
  };
  for (const event of fresh) {
    step(next, event);
    next.seq = event.seq;
  }
  return next;
}

function step(log: AttemptLog, event: Wire): void {
  const body = event.body as Body;
  const id = String(event.seq);
  const { at } = event;
  const note = (what: Note['what'], text: string) =>
    log.entries.push({ kind: 'note', id, at, what, text });
  const say = (by: Spoken['by'], text: string) => log.spoken.push({ id, at, by, text });
  switch (event.kind) {
    case 'phase_started':
      log.entries.push({ kind: 'phase', id, at, phase: body.phase });
      break;
    case 'phase_finished': {
      const end = { ms: body.ms, detail: body.detail, failed: body.failed };
      const open = log.entries.findLastIndex(
        (one) => one.kind === 'phase' && one.phase === body.phase && !one.end,
      );
      if (open >= 0) log.entries[open] = { ...(log.entries[open] as PhaseEntry), end };
      else log.entries.push({ kind: 'phase', id, at, phase: body.phase, end });
      break;
    }
    case 'instructions_loaded':
      note(
        'instructions',
        (body.files ?? []).map((file: { path: string }) => file.path).join(' · '),
      );
      break;
    case 'model_replied':
      for (const item of body.reply?.items ?? []) {
        if (typeof item.text === 'string' && item.text.trim()) say('quire', item.text);
      }
      break;
    case 'command_started':
      log.entries.push({
        kind: 'command',
        id: body.chunk,
        at,
        command: body.command,
        purpose: Object.keys(body.purpose ?? {})[0] ?? String(body.purpose),
      });
      break;
    case 'command_finished': {
      const at = log.entries.findLastIndex(
        (one) => one.kind === 'command' && one.id === body.chunk.id,
      );
      const { size } = body.chunk;
      if (at >= 0) {
        const end = {
          ms: body.ms,
          exit: body.exit,
          lines: size.lines,
          bytes: size.bytes,
          ...(body.ended_by ? { by: body.ended_by } : {}),
        };
        log.entries[at] = { ...(log.entries[at] as Command), end };
      }
      break;
    }
    case 'plan_updated':
      log.plan = body.steps;
      break;
    case 'patch_applied':
      note(
        'patch',
        body.files
          .map(
            (file: { path: string; added: number; removed: number }) =>
              `${file.path} +${file.added} \u2212${file.removed}`,
          )
          .join(' · '),
      );
      break;
    case 'patch_rejected':
      note('patchRejected', body.reason);
      break;
    case 'egress_denied':
      note(
        'denied',
        `${body.method ?? ''} ${body.host}${body.path ?? ''} · ${body.reason ?? ''}`.trim(),
      );
      break;
    case 'steered':
    case 'message_received':
    case 'plan_rejected':
      say('you', body.text);
      break;
    case 'question_asked':
      log.question = { text: body.question, choices: body.choices ?? [] };
      break;
    case 'question_answered':
      say('quire', log.question?.text ?? '');
      say('you', body.text);
      delete log.question;
      break;
    case 'cited':
      log.citations.push(body);
      break;
    case 'answered':
      log.answer = body.text;
      log.answeredAt = at;
      // The reply that was accepted is the answer, and not said twice.
      if (log.spoken.at(-1)?.by === 'quire') log.spoken.pop();
      break;
    case 'finished':
      if (body.outcome?.outcome === 'failed') log.failure = body.outcome.detail;
      break;
  }
}
