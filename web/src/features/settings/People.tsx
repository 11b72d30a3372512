// People of the installation, teams, and who is in them with which role.
import { useState } from 'react';
import { Button } from '../../parts/Button';
import { box, Card, Input, Table } from '../../parts/form';
import { CopyLine } from '../../parts/small';
import { en } from '../../texts/en';
import { Answered, Failed, formRow, Sure, useAnswer, useChange } from './parts';
import type { S } from './Settings';

const words = en.settings.people;
const roles = ['viewer', 'member', 'admin'];

/** People are named in addresses, not numbered. */
const userAt = (name: string) => `/users/${encodeURIComponent(name)}`;

export function People() {
  const users = useAnswer<S['UserList']>('/users');
  const change = useChange();
  const link = useChange<S['SignInLink']>();
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  return (
    <Card title={words.title}>
      <Answered of={users}>
        {(data) => (
          <Table
            label={words.title}
            columns={words.columns}
            rows={data.users.map((user) => ({
              key: user.id,
              cells: [
                user.name,
                user.email ?? '–',
                user.admin ? words.admin : '–',
                user.disabled_at ? words.disabled : words.active,
                <span key="do" className="flex gap-1">
                  <Button
                    small
                    look="bare"
                    disabled={Boolean(user.disabled_at)}
                    onClick={() =>
                      link.mutate({ path: `${userAt(user.name)}/link`, method: 'POST' })
                    }
                  >
                    {words.link}
                  </Button>
                  <Sure
                    label={user.admin ? words.noAdmin : words.makeAdmin}
                    sure={words.sure}
                    act={() =>
                      change.mutate({
                        path: userAt(user.name),
                        method: 'PATCH',
                        body: { admin: !user.admin },
                      })
                    }
                  />
                  <Sure
                    label={user.disabled_at ? words.enable : words.disable}
                    sure={words.sure}
                    act={() =>
                      change.mutate({
                        path: userAt(user.name),
                        method: 'PATCH',
                        body: { disabled: !user.disabled_at },
                      })
                    }
                  />
                </span>,
              ],
            }))}
          />
        )}
      </Answered>
      {link.data && (
        <div role="status" className="border-t border-line p-4">
          <p className="mb-2 font-medium">{words.linkOnce}</p>
          <CopyLine text={new URL(link.data.path, location.origin).href} />
        </div>
      )}
      <form
        className={formRow}
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate(
            { path: '/users', method: 'POST', body: { name, ...(email ? { email } : {}) } },
            { onSuccess: () => setName('') },
          );
        }}
      >
        <Input label={words.name} value={name} put={setName} required wide="w-44" />
        <Input label={words.email} value={email} put={setEmail} type="email" wide="w-56" />
        <Button type="submit">{words.add}</Button>
      </form>
      <Failed error={change.error ?? link.error} />
    </Card>
  );
}

export function Teams() {
  const teams = useAnswer<S['TeamList']>('/teams');
  const change = useChange();
  const [name, setName] = useState('');
  return (
    <>
      <Answered of={teams}>
        {(data) => data.teams.map((team) => <Members key={team.id} team={team} />)}
      </Answered>
      <Card title={words.newTeam}>
        <form
          className={`${formRow} border-t-0`}
          onSubmit={(event) => {
            event.preventDefault();
            change.mutate(
              { path: '/teams', method: 'POST', body: { name } },
              { onSuccess: () => setName('') },
            );
          }}
        >
          <Input label={words.teamName} value={name} put={setName} required wide="w-44" />
          <Button type="submit">{words.makeTeam}</Button>
        </form>
        <Failed error={change.error} />
      </Card>
    </>
  );
}

function Members({ team }: { team: S['Team'] }) {
  const members = useAnswer<S['MemberList']>(`/teams/${team.id}/members`);
  const change = useChange();
  const [who, setWho] = useState('');
  const at = (user: string) => `/teams/${team.id}/members/${encodeURIComponent(user)}`;
  const put = (user: string, role: string) =>
    change.mutate({ path: at(user), method: 'PUT', body: { role } });
  return (
    <Card title={team.name} side={words.rolesAbout}>
      <Answered of={members}>
        {(data) => (
          <Table
            label={team.name}
            columns={words.memberColumns}
            rows={data.members.map((one) => ({
              key: one.user,
              cells: [
                one.name,
                <select
                  key="role"
                  aria-label={words.roleOf(one.name)}
                  className={`${box} w-32!`}
                  value={one.role}
                  onChange={(event) => put(one.name, event.target.value)}
                >
                  {roles.map((role) => (
                    <option key={role}>{role}</option>
                  ))}
                </select>,
                <Sure
                  key="out"
                  label={words.remove}
                  sure={words.removeSure}
                  act={() => change.mutate({ path: at(one.name), method: 'DELETE' })}
                />,
              ],
            }))}
          />
        )}
      </Answered>
      <form
        className={formRow}
        onSubmit={(event) => {
          event.preventDefault();
          put(who, 'member');
        }}
      >
        <Input label={words.addMember} value={who} put={setWho} required wide="w-44" />
        <Button type="submit">{words.add}</Button>
      </form>
      <Failed error={change.error} />
    </Card>
  );
}
