// The theme: a cookie that the server reads before the page is drawn.
export type Theme = 'system' | 'light' | 'dark';

export function currentTheme(): Theme {
  const set = document.documentElement.dataset.theme;
  return set === 'light' || set === 'dark' ? set : 'system';
}

export function setTheme(theme: Theme): void {
  const root = document.documentElement;
  if (theme === 'system') delete root.dataset.theme;
  else root.dataset.theme = theme;
  const kept = theme === 'system' ? 'max-age=0' : 'max-age=31536000';
  // biome-ignore lint/suspicious/noDocumentCookie: the server has to read it with the next page.
  document.cookie = `quire_theme=${theme}; path=/; ${kept}; samesite=lax`;
}
