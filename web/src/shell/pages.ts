// The pages that the bar names. A page is a folder in `features`, a route in `router.tsx` and a
// line here.
import { en } from '../texts/en';

export const pages = [
  { to: '/', label: en.nav.tasks },
  { to: '/board', label: en.nav.board },
  { to: '/environments', label: en.nav.environments },
  { to: '/usage', label: en.nav.usage },
  { to: '/settings', label: en.nav.settings },
] as const;
