// The list of keys that `?` opens.
import { Kbd } from '../parts/small';
import { en } from '../texts/en';
import { Dialog } from './Dialog';

export function KeyHelp({ close }: { close: () => void }) {
  return (
    <Dialog label={en.keys.title} close={close}>
      <div className="p-5">
        <h2 className="mb-3 text-14 font-semibold">{en.keys.title}</h2>
        {en.keys.groups.map(([where, keys]) => (
          <section key={where} className="mb-3">
            <h3 className="text-12 text-ink-3">{where}</h3>
            <dl className="grid grid-cols-[88px_1fr] gap-y-1">
              {keys.map(([key, what]) => (
                <div key={key} className="contents">
                  <dt>
                    <Kbd>{key}</Kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
