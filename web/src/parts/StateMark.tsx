// The sign of a state: its shape first, its colour second.
import type { State } from '../api/types';
import { en } from '../texts/en';

export type Group = 'you' | 'working' | 'queued' | 'done';

/** Which group of the list a state belongs to. A quota or a lost worker needs nobody. */
export function groupOf(state: State): Group {
  switch (state.state) {
    case 'queued':
      return 'queued';
    case 'waiting_for_user':
    case 'waiting_for_approval':
      return 'you';
    case 'suspended':
      return ['quota', 'worker_lost'].includes(state.reason?.why ?? '') ? 'queued' : 'you';
    case 'done':
      return 'done';
    default:
      return 'working';
  }
}

/** The word of a state. */
export function stateWord(state: State): string {
  const name = state.state === 'done' ? (state.outcome?.outcome ?? 'done') : state.state;
  return en.state[name.replace(' ', '_')] ?? name;
}

export function StateMark({ state }: { state: State }) {
  const outcome = state.outcome?.outcome;
  const [colour, shape] = drawn(state.state, outcome, state.reason?.why);
  return (
    <svg
      role="img"
      aria-label={stateWord(state)}
      width="16"
      height="16"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      className={`shrink-0 ${colour}`}
    >
      {shape}
    </svg>
  );
}

function drawn(state: string, outcome?: string, why?: string) {
  const ring = <circle cx="8" cy="8" r="6" />;
  const full = <circle cx="8" cy="8" r="6.5" fill="currentColor" stroke="none" />;
  const cut = 'stroke-bg';
  switch (state) {
    case 'queued':
      return [
        'text-ink-3',
        <circle key="q" cx="8" cy="8" r="6" strokeDasharray="2.2 2.5" />,
      ] as const;
    case 'preparing':
    case 'working':
      return [
        'text-live',
        <g key="w" className="ring-spin">
          <circle cx="8" cy="8" r="6" opacity="0.25" />
          <path d="M14 8a6 6 0 0 1-6 6" strokeWidth="2" />
        </g>,
      ] as const;
    case 'waiting_for_user':
      return [
        'text-you',
        <g key="a">
          {full}
          <path
            className={cut}
            d="M6.300 6.300a1.800 1.800 0 1 1 2.500 1.800c-.5.300-.8.600-.8 1.200M8 11.300v.1"
          />
        </g>,
      ] as const;
    case 'waiting_for_approval':
      return [
        'text-you',
        <g key="p">
          {full}
          <path className={cut} d="M8 4.800v3.800M8 11.200v.1" />
        </g>,
      ] as const;
    case 'suspended': {
      const colour = why === 'quota' || why === 'worker_lost' ? 'text-ink-3' : 'text-you';
      return [
        colour,
        <g key="s">
          {full}
          <path className={cut} d="M6.500 5.800v4.400M9.500 5.800v4.400" />
        </g>,
      ] as const;
    }
    default:
      if (outcome === 'failed')
        return [
          'text-bad',
          <g key="f">
            {ring}
            <path d="M6 6l4 4M10 6l-4 4" />
          </g>,
        ] as const;
      if (outcome === 'cancelled')
        return [
          'text-ink-3',
          <g key="c">
            {ring}
            <path d="M4 12l8-8" />
          </g>,
        ] as const;
      if (outcome === 'refused')
        return [
          'text-ink-2',
          <g key="r">
            {ring}
            <path d="M5.500 8h5" />
          </g>,
        ] as const;
      return [
        'text-ink-2',
        <g key="d">
          {ring}
          <path d="M5.500 8.200l1.800 1.800 3.300-3.800" />
        </g>,
      ] as const;
  }
}
