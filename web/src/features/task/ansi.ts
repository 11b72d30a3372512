// A line of output as a terminal would colour it: its other control sequences do nothing. Pure.
import Anser from 'anser';

export interface Piece {
  text: string;
  look: string;
}

const COLOURS: Record<string, string> = {
  red: 'text-bad',
  green: 'text-ok',
  yellow: 'text-you',
  blue: 'text-live',
  cyan: 'text-live',
  magenta: 'text-accent',
  black: 'text-ink-3',
  white: 'text-ink',
};

// Operating system commands (titles, links), then every sequence but those that colour.
const OSC = /\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)/g;
const CSI = /\x1b\[[0-?]*[ -/]*[@-ln-~]/g;
const REST = /\x1b(?!\[)[ -/]*[0-~]?|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g;

/** What stands on the line once all of it was printed. */
export function pieces(line: string): Piece[] {
  // Most lines have nothing to do with terminals.
  if (!/[\x00-\x08\x0b-\x1f\x7f]/.test(line)) return line ? [{ text: line, look: '' }] : [];
  const last = line.replace(/\r+$/, '').split('\r').at(-1) ?? '';
  const clean = last.replace(OSC, '').replace(CSI, '').replace(REST, '');
  return Anser.ansiToJson(clean, { json: true, remove_empty: true, use_classes: true }).map(
    (one) => {
      const colour = COLOURS[(one.fg ?? '').replace(/^ansi-(bright-)?/, '')] ?? '';
      const weight = one.decorations.includes('bold') ? ' font-semibold' : '';
      const dim = one.decorations.includes('dim') ? ' text-ink-3' : '';
      return { text: one.content, look: `${colour}${weight}${dim}`.trim() };
    },
  );
}

/** The line without anything that only a terminal reads. */
export function plain(line: string): string {
  return pieces(line)
    .map((one) => one.text)
    .join('');
}
