// What was typed and not sent: kept on the device until the server has answered.
export interface Draft {
  text: string;
  repository: string;
  branch: string;
  environment: string;
  model: string;
  attempts: number;
  dollars: string;
}

const KEY = 'quire.draft';
export const fresh: Draft = {
  text: '',
  repository: '',
  branch: '',
  environment: '',
  model: '',
  attempts: 1,
  dollars: '',
};

export function loadDraft(): Draft {
  try {
    return { ...fresh, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Draft>) };
  } catch {
    return fresh;
  }
}

export function keepDraft(draft: Draft): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(draft));
  } catch {
    // A full or forbidden storage costs the draft, not the page.
  }
}
