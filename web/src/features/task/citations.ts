// Citations as they are written, and as they were checked. Pure.
import type { CheckedCitation } from '../../api/types';
import { en } from '../../texts/en';

/** A citation as it is written in the answer. */
export function written({ citation: { target, lines } }: CheckedCitation): string {
  const range = lines.first === lines.last ? `L${lines.first}` : `L${lines.first}-L${lines.last}`;
  return target.file !== undefined
    ? `【F:${target.file}†${range}】`
    : `【${target.chunk}†${range}】`;
}

export function sourceOf({ citation: { target } }: CheckedCitation): string {
  return target.file ?? `log ${target.chunk}`;
}

export function linesOf({ citation: { lines } }: CheckedCitation): string {
  return lines.first === lines.last ? String(lines.first) : `${lines.first}–${lines.last}`;
}

/** Lines of an output or of a file, to be gone to. */
export interface Place {
  chunk?: string;
  file?: string;
  at?: 'base' | 'head';
  first: number;
  last: number;
}

export function placeOf({ citation: { target, lines } }: CheckedCitation): Place {
  const { first, last } = lines;
  return target.chunk
    ? { chunk: target.chunk, first, last }
    : { file: target.file ?? '', first, last };
}

/** `3-5` as it stands in an address. */
export function readLines(text: string | undefined): { first: number; last: number } {
  const found = /^(\d{1,9})-(\d{1,9})$/.exec(text ?? '');
  return found ? { first: Number(found[1]), last: Number(found[2]) } : { first: 0, last: 0 };
}

/** What a reader must know about it, beside that it resolved: why it was rejected, or its marks. */
export function warning(checked: CheckedCitation): string {
  const { verdict } = checked;
  if (verdict.verdict === 'rejected')
    return `${en.evidence.faults[verdict.why] ?? verdict.why} ${en.evidence.unproved}`;
  return (verdict.marks ?? []).map((mark) => en.evidence.marks[mark] ?? mark).join(' ');
}
