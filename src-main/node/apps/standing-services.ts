import type { ServiceAnswers } from '../../../src-shared/apps/index.ts';
import {
  answerByRules,
  readProvided,
  watchCollection,
  type AnswerStore,
  type InstallRecord,
  type PermissionRecords,
} from '../../apps/index.ts';
import type { Base } from '../core.ts';
import type { AppData } from './app-data.ts';
import type { OpenCollection } from './collections.ts';

/** A collection of another own computer that is not reached in this time is not waited for, ms. */
const joinPatience = 5000;

type Provided = InstallRecord['manifest']['services']['provides'][number];

/** Services that installed apps' manifests answer: offered as long as this node runs and the app may. */
export interface StandingServices {
  /** Begins to offer. @returns ends all */
  start(data: AppData): () => void;
  /** Somebody else uses this node now. */
  refresh(): void;
}

export function createStandingServices({
  base,
  records,
  installed,
}: {
  readonly base: Base;
  readonly records: PermissionRecords;
  readonly installed: {
    list(): readonly InstallRecord[];
    on(listener: () => void): () => void;
    read(appId: string, path: string): Promise<Uint8Array | null>;
    /** @throws AppError when it may not run */
    checkRunnable(appId: string): void;
  };
}): StandingServices {
  const { identity, clock, random, logger } = base;
  let look = (): void => {};

  function runnable({ appId }: InstallRecord): boolean {
    try {
      installed.checkRunnable(appId);
      return records.grants(appId).some(({ name }) => name === 'services.provide');
    } catch {
      return false;
    }
  }

  /** The person's own collection of that name: of several, the newest. */
  function storeOf({ collections }: AppData, app: string, { collection: name }: ServiceAnswers): AnswerStore {
    let making: Promise<OpenCollection> | null = null;
    const kept = (): OpenCollection | null => {
      const all = collections
        .list(app)
        .filter(({ drive }) => drive.name() === name && drive.ownRole() === 'owner')
        .map((one) => ({ one, made: Math.min(...one.drive.members().map(({ since }) => since)) }));
      all.sort((a, b) => b.made - a.made || (a.one.record.driveId < b.one.record.driveId ? -1 : 1));
      return all[0]?.one ?? null;
    };
    async function find(make: boolean): Promise<OpenCollection | null> {
      const own = identity.userId();
      for (const one of collections.invitations(app)) {
        // Another computer of the person has it: what was said there belongs here.
        if (one.from === own && one.name === name)
          await collections.join(app, one.driveId, AbortSignal.timeout(joinPatience)).catch(() => {});
      }
      const found = kept();
      if (found || !make) return found;
      making ??= collections.create(app, name).finally(() => (making = null));
      return making;
    }
    return {
      async open(make) {
        const found = await find(make);
        if (!found) return null;
        const { drive, collection } = found;
        return {
          collection,
          watch: (prefix, signal) => watchCollection(drive, collection, { prefix, since: null }, signal),
        };
      },
      async renew() {
        const full = kept();
        await collections.create(app, name);
        if (full) await collections.leave(app, full.record.driveId);
      },
    };
  }

  return {
    refresh: () => look(),
    start(data) {
      const offered = new Map<string, () => void>();
      let work = Promise.resolve();
      let ended = false;

      async function offer(appId: string, provided: Provided, rules: ServiceAnswers) {
        const { slug } = provided;
        const definition = await readProvided(provided, (file) => installed.read(appId, file));
        const run = answerByRules({ definition, rules, store: storeOf(data, appId, rules), clock, random });
        return data.services.offers.add({
          owner: data.services.user(),
          slug,
          title: definition.definition.name,
          text: '',
          interface: definition,
          price: null,
          app: appId,
          run(call, signal) {
            records.note(appId, {
              method: 'exc_serviceProvide',
              permission: 'services.provide',
              about: `${slug} ${call.method}`,
              outcome: 'done',
            });
            return run(call, signal);
          },
        });
      }

      async function once(): Promise<void> {
        const user = ended ? null : identity.userId();
        const wanted = new Map<string, () => Promise<() => void>>();
        for (const record of user === null ? [] : installed.list().filter(runnable)) {
          for (const provided of record.manifest.services.provides) {
            const { slug, answers } = provided;
            if (!answers) continue;
            wanted.set(`${user} ${record.appId} ${record.root} ${slug}`, () =>
              offer(record.appId, provided, answers),
            );
          }
        }
        for (const [key, end] of offered) {
          if (wanted.has(key)) continue;
          offered.delete(key);
          end();
        }
        for (const [key, begin] of wanted) {
          if (offered.has(key)) continue;
          await begin().then(
            (end) => offered.set(key, end),
            (error: unknown) =>
              logger.warn({ err: error, service: key }, 'a service of an app is not offered'),
          );
        }
      }
      look = () => {
        work = work.then(once);
      };
      const off = [installed.on(look), records.on('changed', look)];
      look();
      return () => {
        ended = true;
        for (const stop of off) stop();
        look = () => {};
        for (const end of offered.values()) end();
        offered.clear();
      };
    },
  };
}
