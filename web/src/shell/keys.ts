// Single keys: each page lists its own, and they rest while text is typed.
import { useEffect, useRef } from 'react';

export type KeyMap = Record<string, (event: KeyboardEvent) => void>;

/** The name of a key press: `j`, `J`, `mod+k`, `alt+Enter`, `g t` for two in a row. */
export function keyName(
  event: Pick<KeyboardEvent, 'key' | 'metaKey' | 'ctrlKey' | 'altKey'>,
): string {
  const mod = event.metaKey || event.ctrlKey ? 'mod+' : '';
  return `${mod}${event.altKey ? 'alt+' : ''}${event.key}`;
}

export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** How long the first of two keys waits for the second, in milliseconds. */
const PAIR_MS = 1000;

/** Listens for keys while the component is shown. Keys with `mod+` work in text fields as well. */
export function useKeys(map: KeyMap): void {
  const current = useRef(map);
  current.current = map;
  useEffect(() => {
    let first = '';
    let at = 0;
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented) return;
      const name = keyName(event);
      if (isTyping(event.target) && !name.startsWith('mod+') && name !== 'Escape') return;
      if (document.querySelector('dialog[open]') && name !== 'Escape') return;
      const pair = Date.now() - at < PAIR_MS ? `${first} ${name}` : '';
      const act = current.current[pair] ?? current.current[name];
      first = name;
      at = Date.now();
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}
