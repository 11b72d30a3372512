// What floats over the page: it takes the focus, and gives it back when it closes.
import { type ReactNode, useEffect, useRef } from 'react';

export function Dialog({
  label,
  close,
  children,
}: {
  label: string;
  close: () => void;
  children: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-label={label}
      onClose={close}
      onClick={(event) => event.target === dialog.current && close()}
      onKeyDown={() => undefined}
      className="mx-auto mt-[12vh] w-[min(560px,calc(100vw-24px))] rounded-xl border border-line-2 bg-raised p-0 text-ink shadow-float backdrop:bg-ink/20"
    >
      {children}
    </dialog>
  );
}
