// The settings: a part at a time, only those that one may see.
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import type { components } from '../../api/schema';
import type { Me } from '../../api/types';
import { useTitle } from '../../parts/small';
import { en } from '../../texts/en';
import { Audit } from './Audit';
import { Hooks } from './Hooks';
import { Models, Quotas } from './Limits';
import { People, Teams } from './People';
import { Tokens } from './Tokens';

export type S = components['schemas'];

const parts = ['tokens', 'people', 'teams', 'models', 'budgets', 'notices', 'audit'] as const;
type Part = (typeof parts)[number];

function Shown({ part }: { part: Part }) {
  switch (part) {
    case 'tokens':
      return <Tokens />;
    case 'people':
      return <People />;
    case 'teams':
      return <Teams />;
    case 'models':
      return <Models />;
    case 'budgets':
      return <Quotas />;
    case 'notices':
      return <Hooks />;
    case 'audit':
      return <Audit />;
  }
}

export function Settings() {
  useTitle(en.settings.title);
  const given = (useParams({ strict: false }) as { part?: string }).part;
  const { data: me } = useQuery({
    queryKey: keys.me,
    queryFn: ({ signal }) => ask<Me>('/me', { signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const manages = me?.admin || me?.teams.some((team) => team.role === 'admin');
  const seen = parts.filter((part) => {
    if (part === 'people') return me?.admin;
    return part === 'notices' || part === 'audit' ? manages : true;
  });
  const part = parts.find((one) => one === given) ?? 'tokens';
  return (
    <div className="mx-auto w-full max-w-[1184px] px-6 pt-8 pb-24 max-sm:px-3 max-sm:pt-4">
      <h1 className="mb-4 text-20 font-semibold">{en.settings.title}</h1>
      <div className="grid grid-cols-[160px_minmax(0,1fr)] gap-8 max-md:grid-cols-1 max-md:gap-4">
        <nav
          aria-label={en.settings.title}
          className="flex flex-col gap-0.5 max-md:flex-row max-md:overflow-x-auto"
        >
          {seen.map((one) => (
            <Link
              key={one}
              to="/settings/$part"
              params={{ part: one }}
              className={`rounded-m px-2.5 py-1 font-medium whitespace-nowrap hover:bg-hover max-md:py-2 ${one === part ? 'bg-pressed text-ink' : 'text-ink-2'}`}
            >
              {en.settings.parts[one]}
            </Link>
          ))}
        </nav>
        <div className="min-w-0">
          <Shown part={part} />
        </div>
      </div>
    </div>
  );
}
