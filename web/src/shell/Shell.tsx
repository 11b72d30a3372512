// What surrounds every page: bar, strip, palette, keys, and who is signed in.
import { useQuery } from '@tanstack/react-query';
import { Outlet, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { ask, rememberCsrf } from '../api/client';
import { keys } from '../api/keys';
import { useStaleSince } from '../api/stream';
import { useTasks, useWorkspaceStream } from '../api/tasks';
import type { Me } from '../api/types';
import { Problem } from '../parts/Problem';
import { groupOf } from '../parts/StateMark';
import { en } from '../texts/en';
import { CommandPalette } from './CommandPalette';
import { KeyHelp } from './KeyHelp';
import { useKeys } from './keys';
import { useSignedOut } from './signedOut';
import { StaleStrip, TopBar } from './TopBar';

export function Shell() {
  const [open, setOpen] = useState<'find' | 'keys' | null>(null);
  const navigate = useNavigate();
  const me = useQuery({
    queryKey: keys.me,
    queryFn: async ({ signal }) => {
      const me = await ask<Me>('/me', { signal });
      rememberCsrf(me.csrf);
      return me;
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
  const tasks = useTasks();
  useWorkspaceStream(me.isSuccess);
  useSignedOut();
  const stale = useStaleSince();
  const next = () => {
    const waits = tasks.data?.tasks.find((task) => groupOf(task.state) === 'you');
    if (waits) navigate({ to: '/tasks/$task', params: { task: String(waits.task) } });
  };
  useKeys({
    'mod+k': () => setOpen('find'),
    '?': () => setOpen('keys'),
    'g t': () => void navigate({ to: '/' }),
    'g b': () => void navigate({ to: '/board' }),
    'g e': () => void navigate({ to: '/environments' }),
    'g u': () => void navigate({ to: '/usage' }),
    'g s': () => void navigate({ to: '/settings' }),
    n: () => {
      navigate({ to: '/' }).then(() => document.getElementById('prompt')?.focus());
    },
    y: next,
  });
  const close = () => setOpen(null);
  return (
    <div
      data-stale={stale ? '' : undefined}
      className="flex min-h-dvh flex-col has-[[data-fills]]:h-dvh has-[[data-fills]]:overflow-hidden"
    >
      <a
        href="#content"
        className="sr-only focus:not-sr-only focus:absolute focus:z-30 focus:bg-raised focus:p-2"
      >
        {en.skip}
      </a>
      <TopBar find={() => setOpen('find')} next={next} />
      <StaleStrip />
      <main id="content" tabIndex={-1} className="flex min-h-0 flex-1 flex-col outline-none">
        {me.isError ? (
          <div className="mx-auto w-full max-w-2xl p-6">
            <Problem error={me.error} again={() => void me.refetch()} />
          </div>
        ) : (
          <Outlet />
        )}
      </main>
      {open === 'find' && <CommandPalette close={close} />}
      {open === 'keys' && <KeyHelp close={close} />}
    </div>
  );
}
