// Who signs out in one tab is signed out in all of them.
import { useEffect } from 'react';

const NAME = 'quire.signed-out';

export function tellSignedOut(): void {
  const channel = new BroadcastChannel(NAME);
  channel.postMessage(true);
  channel.close();
}

/** Takes the page to where one can sign in, once another tab signed out. */
export function useSignedOut(): void {
  useEffect(() => {
    const channel = new BroadcastChannel(NAME);
    channel.onmessage = () => location.assign('/sign-in');
    return () => channel.close();
  }, []);
}
