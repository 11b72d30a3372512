// The bar on top of every page: where one can go, find or do, what needs a person, the live mark.
import { Link } from '@tanstack/react-router';
import { ask } from '../api/client';
import { useStaleSince } from '../api/stream';
import { useTasks } from '../api/tasks';
import { Icon } from '../parts/Icon';
import { groupOf } from '../parts/StateMark';
import { Kbd } from '../parts/small';
import { en } from '../texts/en';
import { timeOfDay } from '../texts/format';
import { pages } from './pages';
import { tellSignedOut } from './signedOut';
import { currentTheme, setTheme } from './theme';

export function TopBar({ find, next }: { find: () => void; next: () => void }) {
  const waiting = (useTasks().data?.tasks ?? []).filter(
    (task) => groupOf(task.state) === 'you',
  ).length;
  const stale = useStaleSince();
  const turn = () => {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const shown = currentTheme() === 'system' ? (dark ? 'dark' : 'light') : currentTheme();
    setTheme(shown === 'dark' ? 'light' : 'dark');
  };
  const out = () =>
    ask('/sign-out', { method: 'POST' }).finally(() => {
      tellSignedOut();
      location.assign('/sign-in');
    });
  return (
    <header className="sticky top-0 z-20 flex h-12 items-center gap-2 border-b border-line bg-bg px-4 max-sm:px-2">
      <Link to="/" className="mr-3 flex items-center gap-2 text-14 font-semibold max-sm:mr-0">
        <Icon name="quire" />
        <span className="max-sm:sr-only">{en.name}</span>
      </Link>
      <nav className="flex min-w-0 gap-0.5 overflow-x-auto">
        {pages.map((page) => (
          <Link
            key={page.to}
            to={page.to}
            className="rounded-m px-2.5 py-1 font-medium text-ink-2 hover:bg-hover hover:text-ink aria-[current]:bg-pressed aria-[current]:text-ink"
          >
            {page.label}
          </Link>
        ))}
      </nav>
      <button
        type="button"
        onClick={find}
        className="ml-auto flex h-7 w-58 shrink items-center gap-2 rounded-m border border-line-2 bg-raised px-2 text-ink-3 max-md:size-9 max-md:w-9 max-md:justify-center"
      >
        <Icon name="search" />
        <span className="flex-1 text-left max-md:sr-only">{en.find}</span>
        <Kbd>⌘K</Kbd>
      </button>
      {waiting > 0 && (
        <button
          type="button"
          onClick={next}
          className="h-7 rounded-full bg-you-bg px-2.5 text-12 font-semibold whitespace-nowrap text-you"
        >
          {en.needsYou(waiting)}
        </button>
      )}
      <span className="flex items-center gap-1.5 px-1 text-12 text-ink-3">
        <span className={`size-1.5 rounded-full ${stale ? 'bg-ink-3' : 'bg-live'}`} />
        <span className="max-sm:sr-only">{stale ? en.stale.mark : en.live}</span>
      </span>
      <button
        type="button"
        onClick={turn}
        aria-label={en.theme.dark}
        title={en.theme.dark}
        className="grid size-7 place-items-center rounded-m text-ink-2 hover:bg-hover"
      >
        <Icon name="moon" />
      </button>
      <button
        type="button"
        onClick={out}
        className="rounded-m px-2 py-1 text-12 text-ink-2 hover:bg-hover max-sm:hidden"
      >
        {en.signOut}
      </button>
    </header>
  );
}

/** Says since when the page is behind. */
export function StaleStrip() {
  const since = useStaleSince();
  if (since === null) return null;
  return (
    <p role="status" className="border-b border-line bg-sunken px-4 py-2 text-ink-2">
      {en.stale.since(timeOfDay(since))}
    </p>
  );
}
