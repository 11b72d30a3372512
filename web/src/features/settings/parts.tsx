// What the parts of the settings share: a query by its path, and a change that makes answers old.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { ask } from '../../api/client';
import { Button } from '../../parts/Button';
import { Skeleton } from '../../parts/Empty';
import { Problem } from '../../parts/Problem';
import { en } from '../../texts/en';

type Query = Record<string, string | number | undefined>;

/** What a path answers. */
export function useAnswer<T>(path: string, query: Query = {}, enabled = true) {
  return useQuery({
    queryKey: ['settings', path, query],
    queryFn: ({ signal }) => ask<T>(path, { query, signal }),
    enabled,
    retry: false,
  });
}

interface Sent {
  path: string;
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  body?: unknown;
}

/** A change; whatever the settings show is asked for again. */
export function useChange<T = unknown>() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ path, method, body }: Sent) => ask<T>(path, { method, body }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['settings'] }),
  });
}

/** An answer, or why there is none yet. */
export function Answered<T>({
  of,
  children,
}: {
  of: {
    data: T | undefined;
    isPending: boolean;
    isError: boolean;
    error: unknown;
    refetch: () => unknown;
  };
  children: (data: T) => ReactNode;
}) {
  if (of.isError)
    return (
      <div className="p-4">
        <Problem error={of.error} again={() => void of.refetch()} />
      </div>
    );
  if (of.isPending || of.data === undefined) return <Skeleton rows={3} height={36} />;
  return children(of.data);
}

/** A button that asks once more before it does what cannot be taken back. */
export function Sure({ label, sure, act }: { label: string; sure: string; act: () => void }) {
  const [asked, setAsked] = useState(false);
  if (!asked)
    return (
      <Button small look="bare" onClick={() => setAsked(true)}>
        {label}
      </Button>
    );
  return (
    <span className="inline-flex gap-1">
      <Button
        small
        look="danger"
        onClick={() => {
          setAsked(false);
          act();
        }}
      >
        {sure}
      </Button>
      <Button small look="bare" onClick={() => setAsked(false)}>
        {en.settings.keep}
      </Button>
    </span>
  );
}

export function Failed({ error }: { error: unknown }) {
  if (!error) return null;
  return (
    <div className="px-4 pb-4">
      <Problem error={error} />
    </div>
  );
}

export const formRow = 'flex flex-wrap items-end gap-2 border-t border-line p-4';
