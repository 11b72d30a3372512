// Find or do: tasks by their words, and what can be done from anywhere.
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useTasks } from '../api/tasks';
import { StateMark } from '../parts/StateMark';
import { en } from '../texts/en';
import { repositoryName } from '../texts/format';
import { Dialog } from './Dialog';
import { pages } from './pages';
import { setTheme } from './theme';

/** Rows shown at once. */
const MOST = 12;

export function CommandPalette({ close }: { close: () => void }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const navigate = useNavigate();
  const tasks = useTasks().data?.tasks ?? [];
  const fits = (words: string) => words.toLowerCase().includes(text.trim().toLowerCase());
  const rows = [
    ...pages.map((page) => ({
      id: page.to,
      label: `${en.palette.go} ${page.label}`,
      mark: null,
      act: () => navigate({ to: page.to }),
    })),
    ...(['system', 'light', 'dark'] as const).map((theme) => ({
      id: theme,
      label: en.theme[theme],
      mark: null,
      act: () => setTheme(theme),
    })),
    ...tasks.map((task) => ({
      id: task.id,
      label: `#${task.task} ${task.title} · ${repositoryName(task.repository)}`,
      mark: <StateMark state={task.state} />,
      act: () => navigate({ to: '/tasks/$task', params: { task: String(task.task) } }),
    })),
  ]
    .filter((row) => fits(row.label))
    .slice(0, MOST);
  const run = (index: number) => {
    rows[index]?.act();
    close();
  };
  return (
    <Dialog label={en.find} close={close}>
      <input
        autoFocus
        role="combobox"
        aria-expanded="true"
        aria-controls="found"
        aria-activedescendant={rows[at] ? `found-${at}` : undefined}
        aria-label={en.find}
        placeholder={en.find}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown') setAt(Math.min(at + 1, rows.length - 1));
          else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0));
          else if (event.key === 'Enter') run(at);
          else return;
          event.preventDefault();
        }}
        className="h-12 w-full border-b border-line bg-transparent px-4 text-14 outline-none"
      />
      <div
        id="found"
        role="listbox"
        aria-label={en.find}
        className="max-h-[50vh] overflow-y-auto p-1.5"
      >
        {rows.map((row, index) => (
          <div
            key={row.id}
            id={`found-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            onMouseDown={() => run(index)}
            className="flex h-9 cursor-pointer items-center gap-2 rounded-m px-2.5 aria-selected:bg-hover"
          >
            {row.mark}
            <span className="truncate">{row.label}</span>
          </div>
        ))}
        {rows.length === 0 && <p className="p-3 text-ink-3">{en.palette.empty}</p>}
      </div>
    </Dialog>
  );
}
