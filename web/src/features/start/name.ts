// The name that a repository is given here, from where it lies. Pure.
import { repositoryName } from '../../texts/format';

/** Letters, digits, `.`, `_` and `-`, as the server wants them; `repository` if nothing is left. */
export function nameFor(place: string): string {
  const name = repositoryName(place.trim())
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '');
  return name.slice(0, 100) || 'repository';
}
