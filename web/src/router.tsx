// The addresses. A page is loaded when it is first opened.
import {
  createRootRoute,
  createRoute,
  createRouter,
  Link,
  lazyRouteComponent,
} from '@tanstack/react-router';
import { Home } from './features/home/Home';
import { Empty } from './parts/Empty';
import { Shell } from './shell/Shell';
import { en } from './texts/en';

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <Empty title={en.notFound}>
      <Link to="/" className="text-accent underline">
        {en.toTasks}
      </Link>
    </Empty>
  ),
});

const home = createRoute({ getParentRoute: () => root, path: '/', component: Home });

export const tabs = ['log', 'diff', 'evidence', 'checks', 'files', 'attempts'] as const;
export type Tab = (typeof tabs)[number];

interface TaskSearch {
  tab?: Tab;
  attempt?: number;
  chunk?: string;
  file?: string;
  /** Lines that are gone to, as `3-5`. */
  lines?: string;
}

export const task = createRoute({
  getParentRoute: () => root,
  path: '/tasks/$task',
  validateSearch: (given: Record<string, unknown>): TaskSearch => {
    const search: TaskSearch = {};
    const tab = tabs.find((tab) => tab === given.tab);
    if (tab) search.tab = tab;
    if (Number.isInteger(given.attempt)) search.attempt = given.attempt as number;
    if (typeof given.chunk === 'string') search.chunk = given.chunk;
    if (typeof given.file === 'string') search.file = given.file;
    if (typeof given.lines === 'string') search.lines = given.lines;
    return search;
  },
  component: lazyRouteComponent(() => import('./features/task/TaskPage'), 'TaskPage'),
});

const board = createRoute({
  getParentRoute: () => root,
  path: '/board',
  component: lazyRouteComponent(() => import('./features/board/Board'), 'Board'),
});

const usage = createRoute({
  getParentRoute: () => root,
  path: '/usage',
  component: lazyRouteComponent(() => import('./features/usage/Usage'), 'Usage'),
});

const environments = createRoute({
  getParentRoute: () => root,
  path: '/environments',
  component: lazyRouteComponent(
    () => import('./features/environments/Environments'),
    'Environments',
  ),
});

const environment = createRoute({
  getParentRoute: () => root,
  path: '/environments/$name',
  component: lazyRouteComponent(
    () => import('./features/environments/EnvironmentPage'),
    'EnvironmentPage',
  ),
});

const start = createRoute({
  getParentRoute: () => root,
  path: '/start',
  component: lazyRouteComponent(() => import('./features/start/Start'), 'Start'),
});

const settings = createRoute({
  getParentRoute: () => root,
  path: '/settings',
  component: lazyRouteComponent(() => import('./features/settings/Settings'), 'Settings'),
});

const settingsPart = createRoute({
  getParentRoute: () => root,
  path: '/settings/$part',
  component: lazyRouteComponent(() => import('./features/settings/Settings'), 'Settings'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    home,
    task,
    board,
    environments,
    environment,
    usage,
    start,
    settings,
    settingsPart,
  ]),
  defaultPreload: 'intent',
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
