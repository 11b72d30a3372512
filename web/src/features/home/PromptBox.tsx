// Hand out work: the words, what they are about, and the verbs that send.
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import { useSubmit, useTasks } from '../../api/tasks';
import { Button } from '../../parts/Button';
import { Icon, type IconName } from '../../parts/Icon';
import { Problem } from '../../parts/Problem';
import { Kbd } from '../../parts/small';
import { en } from '../../texts/en';
import { type Draft, keepDraft, loadDraft } from './drafts';
import { type Verb, wishOf } from './wish';

const field =
  'h-7 min-w-0 rounded-m bg-transparent px-1 text-12 font-medium hover:bg-hover max-md:h-9';

export function PromptBox() {
  const [draft, setDraft] = useState<Draft>(loadDraft);
  const [lacks, setLacks] = useState('');
  const submit = useSubmit();
  const box = useRef<HTMLTextAreaElement>(null);
  const key = useRef(crypto.randomUUID());
  useEffect(() => keepDraft(draft), [draft]);
  const set = (part: Partial<Draft>) => {
    key.current = crypto.randomUUID();
    setLacks('');
    setDraft((before) => ({ ...before, ...part }));
  };
  const send = (verb: Verb) => {
    const wish = wishOf(draft, verb);
    if ('lacks' in wish) return setLacks(wish.lacks);
    const sent = draft.text;
    submit.mutate(
      { task: wish.task, key: key.current },
      {
        onSuccess: () => {
          key.current = crypto.randomUUID();
          setDraft((before) => (before.text === sent ? { ...before, text: '' } : before));
          box.current?.focus();
        },
      },
    );
  };
  return (
    <section aria-label={en.prompt.label}>
      <div className="rounded-xl border border-control bg-raised focus-within:border-accent focus-within:ring-3 focus-within:ring-accent-bg">
        <textarea
          ref={box}
          id="prompt"
          rows={3}
          aria-label={en.prompt.label}
          placeholder={en.prompt.hint}
          value={draft.text}
          onChange={(event) => set({ text: event.target.value })}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return;
            if (event.metaKey || event.ctrlKey) send('code');
            else if (event.altKey) send('ask');
            else return;
            event.preventDefault();
          }}
          className="block field-sizing-content max-h-80 min-h-24 w-full resize-none bg-transparent px-4 pt-3.5 pb-1 text-14 outline-none placeholder:text-ink-3"
        />
        <div className="flex flex-wrap items-center gap-x-3 gap-y-2 border-t border-line p-2">
          <Pickers draft={draft} set={set} />
          <div className="ml-auto flex items-center gap-1.5">
            <Button look="bare" small onClick={() => send('review')}>
              {en.prompt.verbs.review}
            </Button>
            <Button look="bare" small onClick={() => send('plan')}>
              {en.prompt.verbs.plan}
            </Button>
            <Button small onClick={() => send('ask')}>
              {en.prompt.verbs.ask}
            </Button>
            <Button
              small
              look={draft.text.trim() ? 'main' : 'plain'}
              disabled={submit.isPending}
              onClick={() => send('code')}
            >
              {en.prompt.verbs.code} <Kbd>⌘⏎</Kbd>
            </Button>
          </div>
        </div>
      </div>
      <p role="status" className="min-h-7 px-1 pt-2 text-12 text-ink-3">
        {lacks ? <span className="text-bad">{lacks}</span> : draft.text && en.prompt.draft}
      </p>
      {submit.isError && <Problem error={submit.error} />}
    </section>
  );
}

function Pickers({ draft, set }: { draft: Draft; set: (part: Partial<Draft>) => void }) {
  const { data: named } = useQuery({
    queryKey: keys.repositories,
    queryFn: ({ signal }) => ask<{ repositories: { name: string }[] }>('/repositories', { signal }),
  });
  const { data: environments } = useQuery({
    queryKey: keys.environments,
    queryFn: ({ signal }) => ask<{ environments: { name: string }[] }>('/environments', { signal }),
  });
  const { data: models } = useQuery({
    queryKey: keys.models,
    queryFn: ({ signal }) =>
      ask<{ models: { name: string; default: boolean; missing?: string }[] }>('/models', {
        signal,
      }),
  });
  const isNamed = named?.repositories.some((one) => one.name === draft.repository) ?? false;
  const { data: branches } = useQuery({
    queryKey: keys.branches(draft.repository),
    queryFn: ({ signal }) =>
      ask<{ branches: { name: string }[] }>(
        `/repositories/${encodeURIComponent(draft.repository)}/branches`,
        { signal },
      ),
    enabled: isNamed,
    retry: false,
  });
  const { data: page } = useTasks();
  const known = new Set([
    ...(named?.repositories ?? []).map((one) => one.name),
    ...(page?.tasks ?? []).map((task) => task.repository),
  ]);
  const usable = models?.models.filter((model) => !model.missing) ?? [];
  return (
    <>
      <Field icon="repo" label={en.prompt.repository}>
        <input
          className={`${field} w-40`}
          list="repositories"
          placeholder={en.prompt.repositoryHint}
          aria-label={en.prompt.repository}
          value={draft.repository}
          onChange={(event) => set({ repository: event.target.value })}
        />
        <datalist id="repositories">
          {[...known].slice(0, 50).map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </Field>
      <Field icon="branch" label={en.prompt.branch}>
        <input
          className={`${field} w-28`}
          list="branches"
          placeholder={en.prompt.branchDefault}
          aria-label={en.prompt.branch}
          value={draft.branch}
          onChange={(event) => set({ branch: event.target.value })}
        />
        <datalist id="branches">
          {branches?.branches.map((branch) => (
            <option key={branch.name} value={branch.name} />
          ))}
        </datalist>
      </Field>
      {(environments?.environments.length ?? 0) > 0 && (
        <Field icon="box" label={en.prompt.environment}>
          <select
            className={field}
            aria-label={en.prompt.environment}
            value={draft.environment}
            onChange={(event) => set({ environment: event.target.value })}
          >
            <option value="">{en.prompt.environmentDefault}</option>
            {environments?.environments.map((one) => (
              <option key={one.name}>{one.name}</option>
            ))}
          </select>
        </Field>
      )}
      <Field icon="model" label={en.prompt.model}>
        <select
          className={`${field} max-w-44`}
          aria-label={en.prompt.model}
          value={draft.model}
          onChange={(event) => set({ model: event.target.value })}
        >
          <option value="">{usable.find((model) => model.default)?.name ?? en.prompt.model}</option>
          {usable
            .filter((model) => !model.default)
            .map((model) => (
              <option key={model.name}>{model.name}</option>
            ))}
        </select>
      </Field>
      <Field icon="copies" label={en.prompt.attemptsLabel}>
        <select
          className={field}
          aria-label={en.prompt.attemptsLabel}
          value={draft.attempts}
          onChange={(event) => set({ attempts: Number(event.target.value) })}
        >
          {[1, 2, 3, 4].map((count) => (
            <option key={count} value={count}>
              {en.prompt.attempts(count)}
            </option>
          ))}
        </select>
      </Field>
      <Field icon="coin" label={en.prompt.budget}>
        <input
          className={`${field} w-16 tabular-nums`}
          inputMode="decimal"
          placeholder={en.prompt.noBudget}
          aria-label={en.prompt.budget}
          value={draft.dollars}
          onChange={(event) => set({ dollars: event.target.value })}
        />
      </Field>
    </>
  );
}

function Field({ icon, label, children }: { icon: IconName; label: string; children: ReactNode }) {
  return (
    <span title={label} className="inline-flex items-center gap-1 text-ink-3 [&>*]:text-ink">
      <span className="text-ink-3!">
        <Icon name={icon} />
      </span>
      {children}
    </span>
  );
}
