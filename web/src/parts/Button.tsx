// A button. `main` is the one black button of a view.
import type { ButtonHTMLAttributes } from 'react';

const looks = {
  main: 'bg-ink text-bg border-ink font-semibold hover:opacity-90',
  plain: 'bg-raised border-line-2 hover:bg-hover font-medium',
  bare: 'border-transparent text-ink-2 hover:bg-hover hover:text-ink font-medium',
  danger: 'bg-raised border-line-2 text-bad hover:bg-hover font-medium',
};

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: keyof typeof looks;
  small?: boolean;
}

export function Button({ look = 'plain', small = false, className = '', ...rest }: Props) {
  const size = small ? 'h-7 px-2.5 text-12' : 'h-8 px-3';
  return (
    <button
      type="button"
      className={`inline-flex items-center justify-center gap-1.5 rounded-m border whitespace-nowrap transition-colors duration-120 disabled:opacity-60 max-md:min-h-9 ${size} ${looks[look]} ${className}`}
      {...rest}
    />
  );
}
