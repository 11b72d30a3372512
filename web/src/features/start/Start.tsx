// First run: a model, a repository, a first task. None blocks the writing of the others.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type ReactNode, useRef, useState } from 'react';
import { ask } from '../../api/client';
import { keys } from '../../api/keys';
import { useSubmit } from '../../api/tasks';
import type { Model, Repository } from '../../api/types';
import { Button } from '../../parts/Button';
import { Input } from '../../parts/form';
import { Icon } from '../../parts/Icon';
import { Problem } from '../../parts/Problem';
import { useTitle } from '../../parts/small';
import { en } from '../../texts/en';
import { nameFor } from './name';

export function Start() {
  useTitle(en.start.title);
  const models = useQuery({
    queryKey: keys.models,
    queryFn: ({ signal }) => ask<{ models: Model[] }>('/models', { signal }),
  });
  const repositories = useQuery({
    queryKey: keys.repositories,
    queryFn: ({ signal }) => ask<{ repositories: Repository[] }>('/repositories', { signal }),
  });
  const usable = models.data?.models.filter((model) => !model.missing) ?? [];
  const model = usable.find((one) => one.default) ?? usable[0];
  const names = repositories.data?.repositories.map((one) => one.name) ?? [];
  const [picked, setPicked] = useState('');
  const repository = picked || names[0] || '';
  return (
    <div className="mx-auto w-full max-w-[680px] px-6 pt-10 pb-24 max-sm:px-3 max-sm:pt-5">
      <h1 className="text-20 font-semibold">{en.start.heading}</h1>
      <p className="mt-1 mb-8 text-ink-2">{en.start.about}</p>
      <ol>
        <Step number={1} title={en.start.model} done={model !== undefined}>
          {models.isError && <Problem error={models.error} again={() => void models.refetch()} />}
          {model && (
            <p className="flex min-h-11 flex-wrap items-center gap-2 rounded-l border border-line bg-raised px-3">
              <Icon name="model" />
              <span className="font-medium">{model.name}</span>
              <span className="ml-auto text-12 text-ink-2">
                {model.scripted ? en.start.scripted : en.start.configured}
              </span>
            </p>
          )}
          {models.isSuccess && !model && <Missing models={models.data.models} />}
          {models.isSuccess && (
            <Button small className="mt-2" onClick={() => void models.refetch()}>
              {models.isFetching ? en.loading : en.start.look}
            </Button>
          )}
        </Step>
        <Step number={2} title={en.start.repository} done={names.length > 0}>
          {names.length > 0 && (
            <fieldset className="mb-3 flex flex-wrap gap-2">
              <legend className="sr-only">{en.start.repository}</legend>
              {names.slice(0, 12).map((name) => (
                <Button
                  key={name}
                  small
                  aria-pressed={name === repository}
                  className="aria-pressed:border-accent aria-pressed:bg-accent-bg"
                  onClick={() => setPicked(name)}
                >
                  <Icon name="repo" />
                  {name}
                </Button>
              ))}
            </fieldset>
          )}
          <AddRepository added={setPicked} />
        </Step>
        <Step number={3} title={en.start.task} done={false} last>
          <FirstTask repository={repository} ready={model !== undefined && repository !== ''} />
        </Step>
      </ol>
    </div>
  );
}

function Step({
  number,
  title,
  done,
  last = false,
  children,
}: {
  number: number;
  title: string;
  done: boolean;
  last?: boolean;
  children: ReactNode;
}) {
  return (
    <li className="grid grid-cols-[28px_minmax(0,1fr)] gap-x-3.5">
      <div className="flex flex-col items-center">
        <span
          className={`grid size-7 place-items-center rounded-full text-12 font-semibold ${done ? 'bg-ok-bg text-ok' : 'border border-line-2 bg-raised'}`}
        >
          {done ? <Icon name="check" /> : number}
          {done && <span className="sr-only">{en.start.done}</span>}
        </span>
        {!last && <span className="my-1 w-px flex-1 bg-line-2" />}
      </div>
      <div className="pb-8">
        <h2 className="mb-2 pt-0.5 text-14 font-semibold">{title}</h2>
        {children}
      </div>
    </li>
  );
}

/** What each provider lacks, in the server's own words. */
function Missing({ models }: { models: Model[] }) {
  const why = [...new Set(models.flatMap((model) => (model.missing ? [model.missing] : [])))];
  return (
    <div className="rounded-l border border-line bg-raised p-3">
      <p className="font-medium">{en.start.noModel}</p>
      <ul className="mt-1 list-disc pl-5 text-12 break-words text-ink-2">
        {why.slice(0, 6).map((one) => (
          <li key={one}>{one}</li>
        ))}
      </ul>
      <p className="mt-2">{en.start.noModelHow}</p>
      <pre className="mt-2 overflow-x-auto rounded-m bg-sunken p-2 font-mono text-12">
        {en.start.noModelCommand}
      </pre>
    </div>
  );
}

function AddRepository({ added }: { added: (name: string) => void }) {
  const client = useQueryClient();
  const [place, setPlace] = useState('');
  const add = useMutation({
    mutationFn: async () => {
      const name = nameFor(place);
      const at = `/repositories/${encodeURIComponent(name)}`;
      const made = await ask<Repository>('/repositories', {
        method: 'POST',
        body: { name, place: place.trim() },
      });
      try {
        const found = await ask<{ branches: string[]; default?: string }>(`${at}/branches`);
        return { made, ...found };
      } catch (error) {
        // What cannot be read is not kept. What is said is why it could not be read.
        await ask(at, { method: 'DELETE' }).catch(() => undefined);
        throw error;
      }
    },
    onSuccess: ({ made }) => {
      setPlace('');
      added(made.name);
    },
    onSettled: () => client.invalidateQueries({ queryKey: keys.repositories }),
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        add.mutate();
      }}
    >
      <div className="flex items-end gap-2">
        <Input
          label={en.start.place}
          value={place}
          put={setPlace}
          required
          placeholder={en.start.placeHint}
          wide="flex-1"
        />
        <Button type="submit" disabled={add.isPending}>
          {add.isPending ? en.start.reading : en.start.add}
        </Button>
      </div>
      <p role="status" className="mt-1 min-h-5 text-12 text-ink-2">
        {add.data &&
          en.start.read(add.data.made.name, add.data.branches.length, add.data.default ?? '–')}
      </p>
      {add.isError && <Problem error={add.error} />}
    </form>
  );
}

function FirstTask({ repository, ready }: { repository: string; ready: boolean }) {
  const [text, setText] = useState('');
  const submit = useSubmit();
  const navigate = useNavigate();
  const key = useRef(crypto.randomUUID());
  const send = (mode: 'code' | 'ask') =>
    submit.mutate(
      {
        task: { repository, prompt: text, mode, attempts: 1, questions: true },
        key: `${key.current}-${mode}`,
      },
      {
        onSuccess: (task) =>
          void navigate({ to: '/tasks/$task', params: { task: String(task.task) } }),
      },
    );
  const able = ready && text.trim() !== '' && !submit.isPending;
  return (
    <>
      <div className="rounded-xl border border-control bg-raised">
        <textarea
          aria-label={en.prompt.label}
          placeholder={repository ? en.start.what(repository) : en.prompt.label}
          rows={3}
          value={text}
          onChange={(event) => {
            key.current = crypto.randomUUID();
            setText(event.target.value);
          }}
          className="block w-full resize-none bg-transparent px-4 pt-3.5 text-14 placeholder:text-ink-3"
        />
        <div className="flex flex-wrap gap-2 px-3 pb-3">
          {en.start.ideas.map((idea) => (
            <Button key={idea} small onClick={() => setText(idea)}>
              {idea}
            </Button>
          ))}
        </div>
        <div className="flex items-center justify-end gap-2 border-t border-line p-2">
          {!ready && <span className="mr-auto px-1 text-12 text-ink-2">{en.start.waits}</span>}
          <Button small disabled={!able} onClick={() => send('ask')}>
            {en.prompt.verbs.ask}
          </Button>
          <Button
            small
            look={able ? 'main' : 'plain'}
            disabled={!able}
            onClick={() => send('code')}
          >
            {en.prompt.verbs.code}
          </Button>
        </div>
      </div>
      {submit.isError && (
        <div className="mt-3">
          <Problem error={submit.error} />
        </div>
      )}
    </>
  );
}
