// The environments of one's team: which there are, and a new one.
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { Button } from '../../parts/Button';
import { Empty, Skeleton } from '../../parts/Empty';
import { Input } from '../../parts/form';
import { Problem } from '../../parts/Problem';
import { useNow, useTitle } from '../../parts/small';
import { en } from '../../texts/en';
import { ago } from '../../texts/format';
import { useEnvironments } from './queries';

export function Environments() {
  useTitle(en.environments.title);
  const list = useEnvironments();
  const navigate = useNavigate();
  const now = useNow();
  const [name, setName] = useState('');
  return (
    <div className="mx-auto w-full max-w-[1184px] px-6 pt-8 pb-24 max-sm:px-3 max-sm:pt-4">
      <h1 className="text-20 font-semibold">{en.environments.title}</h1>
      <p className="mt-1 mb-5 max-w-2xl text-ink-2">{en.environments.about}</p>
      {list.isError && <Problem error={list.error} again={() => void list.refetch()} />}
      <div className="mb-6 rounded-l border border-line bg-raised">
        {list.isPending && <Skeleton rows={3} height={56} />}
        {list.data?.environments.length === 0 && (
          <Empty title={en.environments.empty}>{en.environments.emptyHint}</Empty>
        )}
        {list.data?.environments.map((one) => (
          <Link
            key={one.name}
            to="/environments/$name"
            params={{ name: one.name }}
            className="flex min-h-14 flex-wrap items-center gap-x-3 border-b border-line px-4 py-1.5 last:border-0 hover:bg-hover"
          >
            <span className="text-14 font-semibold">{one.name}</span>
            <span className="min-w-0 truncate text-ink-2">
              {one.repository ?? en.environments.any}
            </span>
            <span className="ml-auto text-12 text-ink-2">
              {en.environments.version(one.version)} · {one.author} ·{' '}
              {en.settings.agoWords(ago(one.at, now))}
            </span>
          </Link>
        ))}
      </div>
      <form
        className="flex max-w-md items-end gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          if (name) void navigate({ to: '/environments/$name', params: { name } });
        }}
      >
        <Input
          label={en.environments.newName}
          value={name}
          put={setName}
          pattern="[A-Za-z0-9._\-]{1,60}"
          title={en.environments.nameRule}
          required
          wide="flex-1"
        />
        <Button type="submit">{en.environments.create}</Button>
      </form>
    </div>
  );
}
