// One environment: its recipe and secrets on the left, what happened in it on the right.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { ask, ProblemError } from '../../api/client';
import { keys } from '../../api/keys';
import type { Environment } from '../../api/types';
import { Button } from '../../parts/Button';
import { Skeleton } from '../../parts/Empty';
import { box, Input, Labelled } from '../../parts/form';
import { Problem } from '../../parts/Problem';
import { useTitle } from '../../parts/small';
import { en } from '../../texts/en';
import { Lately } from './Lately';
import { environmentAt, useEnvironment } from './queries';
import { firstRecipe, withAllowed } from './recipe';
import { Secrets } from './Secrets';

export function EnvironmentPage() {
  const { name } = useParams({ strict: false }) as { name: string };
  useTitle(name);
  const found = useEnvironment(name);
  const isNew = found.error instanceof ProblemError && found.error.status === 404;
  return (
    <div className="mx-auto w-full max-w-[1360px] px-6 pt-6 pb-24 max-sm:px-3 max-sm:pt-4">
      <p className="text-12 text-ink-2">
        <Link to="/environments" className="underline">
          {en.environments.title}
        </Link>
      </p>
      <h1 className="mb-4 text-20 font-semibold break-words">{name}</h1>
      {found.isPending && <Skeleton rows={8} height={36} />}
      {found.isError && !isNew && (
        <Problem error={found.error} again={() => void found.refetch()} />
      )}
      {(found.data || isNew) && (
        <Editor
          key={name}
          name={name}
          recipe={found.data?.recipe ?? firstRecipe}
          repository={found.data?.repository ?? ''}
          version={found.data?.version ?? 0}
        />
      )}
    </div>
  );
}

function Editor({
  name,
  recipe,
  repository,
  version,
}: {
  name: string;
  recipe: string;
  repository: string;
  version: number;
}) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [text, setText] = useState(recipe);
  const [of, setOf] = useState(repository);
  const [base, setBase] = useState(version);
  const [before, setBefore] = useState<string | null>(null);
  const [byHand, setByHand] = useState<string | null>(null);
  const [leave, setLeave] = useState(false);
  const old = () => client.invalidateQueries({ queryKey: keys.environments });
  const save = useMutation({
    mutationFn: () =>
      ask<{ version: number; warnings: string[] }>(environmentAt(name), {
        method: 'PUT',
        body: { recipe: text, based_on: base, ...(of ? { repository: of } : {}) },
      }),
    onSuccess: (done) => {
      setBase(done.version);
      setBefore(null);
      // What was saved is known: a page of a new environment must not go away while it is asked.
      client.setQueryData<Environment>([...keys.environments, name], (known) => ({
        ...(known ?? { name, author: '', team: '', at: Date.now() }),
        recipe: text,
        repository: of || null,
        version: done.version,
      }));
      void old();
    },
  });
  const remove = useMutation({
    mutationFn: () => ask(environmentAt(name), { method: 'DELETE' }),
    onSuccess: () => void old().then(() => navigate({ to: '/environments' })),
  });
  const allow = (rule: string) => {
    const next = withAllowed(text, rule);
    if (next === null) return setByHand(rule);
    setByHand(null);
    setBefore(text);
    setText(next);
  };
  const changed = base === 0 || text !== recipe || of !== repository;
  return (
    <div className="grid grid-cols-[minmax(0,5fr)_minmax(0,7fr)] gap-8 max-md:grid-cols-1">
      <div>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            save.mutate();
          }}
        >
          <Input
            label={en.environments.repository}
            help={en.environments.repositoryHelp}
            value={of}
            put={setOf}
            placeholder={en.environments.any}
            wide="mb-4"
          />
          <Labelled label={en.environments.recipe} help={en.environments.recipeHelp}>
            <textarea
              value={text}
              onChange={(event) => setText(event.target.value)}
              spellCheck={false}
              rows={18}
              className={`${box} h-auto! resize-y py-2 font-mono text-12`}
            />
          </Labelled>
          {before !== null && (
            <p role="status" className="mt-2 flex items-center gap-2 text-12 text-ink-2">
              {en.environments.added}
              <Button
                small
                onClick={() => {
                  setText(before);
                  setBefore(null);
                }}
              >
                {en.undo}
              </Button>
            </p>
          )}
          {byHand && (
            <p role="status" className="mt-2 text-12">
              {en.environments.byHand} <code className="font-mono">"{byHand}"</code>
            </p>
          )}
          <div className="mt-3 flex flex-wrap items-center gap-3">
            <Button type="submit" look="main" disabled={save.isPending || !changed}>
              {base === 0 ? en.environments.create : en.environments.save}
            </Button>
            <span role="status" className="text-12 text-ink-2">
              {save.isSuccess && !changed
                ? en.environments.saved(save.data.version)
                : changed
                  ? en.environments.unsaved
                  : en.environments.version(base)}
            </span>
            {base > 0 && (
              <span className="ml-auto flex gap-2">
                {leave ? (
                  <>
                    <Button small look="danger" onClick={() => remove.mutate()}>
                      {en.environments.deleteYes}
                    </Button>
                    <Button small look="bare" onClick={() => setLeave(false)}>
                      {en.environments.keep}
                    </Button>
                  </>
                ) : (
                  <Button small look="bare" onClick={() => setLeave(true)}>
                    {en.environments.delete}
                  </Button>
                )}
              </span>
            )}
          </div>
          {save.data?.warnings.map((warning) => (
            <p key={warning} role="status" className="mt-2 rounded-m bg-you-bg p-2 text-you">
              {warning}
            </p>
          ))}
          {(save.isError || remove.isError) && (
            <div className="mt-3">
              <Problem error={save.error ?? remove.error} />
            </div>
          )}
        </form>
        {base > 0 && <Secrets name={name} />}
      </div>
      <Lately name={name} allow={allow} />
    </div>
  );
}
