// Secrets of an environment: set and replaced here, never shown.
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { ask } from '../../api/client';
import { Button } from '../../parts/Button';
import { Input } from '../../parts/form';
import { Problem } from '../../parts/Problem';
import { useNow } from '../../parts/small';
import { en } from '../../texts/en';
import { ago } from '../../texts/format';
import { environmentAt, useSecrets } from './queries';

export function Secrets({ name }: { name: string }) {
  const list = useSecrets(name);
  const now = useNow();
  const [secret, setSecret] = useState('');
  const [value, setValue] = useState('');
  const at = (one: string) => `${environmentAt(name)}/secrets/${encodeURIComponent(one)}`;
  const put = useMutation({
    mutationFn: () => ask(at(secret), { method: 'PUT', body: { value } }),
    onSuccess: () => {
      setSecret('');
      setValue('');
      void list.refetch();
    },
  });
  const remove = useMutation({
    mutationFn: (one: string) => ask(at(one), { method: 'DELETE' }),
    onSettled: () => void list.refetch(),
  });
  return (
    <section className="mt-8">
      <h2 className="mb-1 text-14 font-semibold">{en.secrets.title}</h2>
      <p className="mb-2 text-12 text-ink-2">{en.secrets.about}</p>
      <ul className="mb-3 rounded-l border border-line bg-raised">
        {list.data?.secrets.length === 0 && (
          <li className="px-3 py-2 text-ink-2">{en.secrets.none}</li>
        )}
        {list.data?.secrets.map((one) => (
          <li
            key={one.name}
            className="flex items-center gap-3 border-b border-line px-3 py-1.5 last:border-0"
          >
            <code className="min-w-0 truncate font-mono text-12">{one.name}</code>
            <span className="ml-auto text-12 text-ink-2">
              {en.secrets.set(ago(one.at, now), one.version)}
            </span>
            <Button
              small
              onClick={() => setSecret(one.name)}
              aria-label={`${en.secrets.replace} ${one.name}`}
            >
              {en.secrets.replace}
            </Button>
            <Button
              small
              look="danger"
              onClick={() => remove.mutate(one.name)}
              aria-label={`${en.secrets.remove} ${one.name}`}
            >
              {en.secrets.remove}
            </Button>
          </li>
        ))}
      </ul>
      <form
        className="flex flex-wrap items-end gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          put.mutate();
        }}
      >
        <Input
          label={en.secrets.name}
          value={secret}
          put={setSecret}
          required
          wide="w-44"
          className="font-mono text-12"
        />
        <Input
          label={en.secrets.value}
          type="password"
          autoComplete="new-password"
          value={value}
          put={setValue}
          required
          wide="min-w-40 flex-1"
        />
        <Button type="submit" disabled={put.isPending}>
          {en.secrets.save}
        </Button>
      </form>
      {(put.isError || list.isError || remove.isError) && (
        <div className="mt-3">
          <Problem error={put.error ?? list.error ?? remove.error} />
        </div>
      )}
    </section>
  );
}
