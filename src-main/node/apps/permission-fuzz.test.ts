import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Grant, PermissionName } from '../../../src-shared/apps/index.ts';
import { isAboutFolder, permissionNames } from '../../../src-shared/apps/index.ts';
import { appMethods } from '../../../src-shared/apps/methods/index.ts';
import { createDownloads } from '../../api/index.ts';
import { folderHandle } from '../../apps/index.ts';
import { createTestHost, echoInterface, testPage } from '../../apps/testing.ts';
import { systemClock } from '../../platform/index.ts';

const app = 'a'.repeat(52);
const makeBytes = (origin: string) =>
  createDownloads({ clock: systemClock, random: (n) => randomBytes(n), origin: () => origin });
const seed = Number(process.env['FUZZ_SEED'] ?? 1);
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 60);

const drives = ['one', 'two'] as const;
const folders = ['', 'a', 'a/b', 'c'] as const;
const place = fc.record({ drive: fc.constantFrom(...drives), path: fc.constantFrom(...folders) });
const grantOf = (name: PermissionName): fc.Arbitrary<Grant> =>
  isAboutFolder(name) ? place.map((caveats) => ({ name, caveats })) : fc.constant({ name, caveats: {} });
const names = [
  'a',
  'b',
  'c',
  'x.txt',
  '..',
  '.',
  '',
  'a\\b',
  'A',
  'a\0',
  'v.mp4',
  'e\u0301',
  '\u00e9',
  'A/..',
  '.extrachain',
];
const path = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom('a', 'b/x.txt', 'v.mp4') },
  {
    weight: 1,
    arbitrary: fc.array(fc.constantFrom(...names), { maxLength: 4 }).map((parts) => parts.join('/')),
  },
);
const methods = Object.entries(appMethods).filter(([name]) => !name.startsWith('wallet_revoke'));

type Step =
  | { readonly kind: 'grant'; readonly grant: Grant }
  | { readonly kind: 'revoke'; readonly name: PermissionName }
  | { readonly kind: 'call'; readonly method: string; readonly params: unknown };
const call = (method: string): fc.Arbitrary<Step> =>
  fc
    .record({
      at: place,
      path,
      paths: fc.array(path, { minLength: 1, maxLength: 3 }),
      wrapped: fc.boolean(),
      odd: fc.oneof(
        { weight: 3, arbitrary: fc.constant({}) },
        {
          weight: 1,
          arbitrary: fc.dictionary(fc.constantFrom('folder', 'drive', 'path', '__proto__'), fc.jsonValue()),
        },
      ),
    })
    .map(({ at, path: inner, paths, wrapped, odd }): Step => {
      const params = {
        folder: folderHandle(app, at.drive, at.path),
        drive: at.drive,
        path: inner,
        paths,
        bytes: 'AAAA',
        to: 'exc1x',
        amount: '1',
        symbol: 'EXC',
        title: 't',
        link: 'extrachain://open/x',
        manifest: { slug: 'echo', title: 'Echo', interface: echoInterface },
        hash: '0'.repeat(64),
        ...odd,
      };
      return wrapped
        ? {
            kind: 'call',
            method: 'wallet_invokeMethod',
            params: { scope: 'extrachain:app', request: { method, params } },
          }
        : { kind: 'call', method, params };
    });
/** A few permissions at a time, and mostly methods that need them: so that calls get through, and what must not has a chance to. */
const aboutFolders = permissionNames.filter(isAboutFolder);
const steps = fc
  .oneof(
    fc.constant<PermissionName[]>(aboutFolders),
    fc.subarray<PermissionName>(
      permissionNames.filter((name) => name !== 'tokens.spend' && name !== 'identity'),
      { minLength: 2, maxLength: 4 },
    ),
  )
  .chain((few) => {
    const near = methods.filter(([, { permissions }]) => permissions.some((name) => few.includes(name)));
    const aimed = near.length > 0 ? near : methods;
    return fc.array(
      fc.oneof(
        {
          weight: 2,
          arbitrary: fc
            .constantFrom(...few)
            .chain(grantOf)
            .map((grant): Step => ({ kind: 'grant', grant })),
        },
        { weight: 1, arbitrary: fc.constantFrom(...few).map((name): Step => ({ kind: 'revoke', name })) },
        { weight: 6, arbitrary: fc.constantFrom(...aimed).chain(([name]) => call(name)) },
        { weight: 2, arbitrary: fc.constantFrom(...methods).chain(([name]) => call(name)) },
      ),
      { minLength: 40, maxLength: 80, size: 'max' },
    );
  });

/** What the host must have been granted for a call to get through to the node. */
const needs: Readonly<Record<string, PermissionName>> = {
  'files.list': 'drive.read',
  'files.read': 'drive.read',
  'files.mkdir': 'drive.write',
  'files.remove': 'drive.write',
  'files.checkUpload': 'drive.write',
  'files.write': 'drive.write',
  'wallet.balance': 'tokens.read',
  'transactions.show': 'tokens.read',
  'wallet.proof': 'identity.shared',
  'streams.list': 'streams.watch',
  'streams.poster': 'streams.watch',
  'streams.leave': 'streams.watch',
  'published.read': 'streams.watch',
  'collections.list': 'collections',
  'collections.create': 'collections',
  'collections.get': 'collections',
  'collections.versions': 'collections',
  'collections.entries': 'collections',
  'collections.write': 'collections',
  'collections.watch': 'collections',
  'collections.members': 'collections',
  'collections.share': 'collections',
  'collections.unshare': 'collections',
  'collections.invitations': 'collections',
  'collections.join': 'collections',
  'collections.decline': 'collections',
  'collections.leave': 'collections',
  'messages.send': 'messages',
  'messages.done': 'messages',
  'messages.watch': 'messages',
  'services.list': 'services.call',
  'services.call': 'services.call',
  'services.callStream': 'services.call',
  'services.provide': 'services.provide',
  'services.reply': 'services.provide',
  notify: 'notifications',
};

it(`lets no random sequence of calls through to what is not granted at that moment (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const { host, records, reached } = createTestHost(
        { [app]: null },
        { permissions: permissionNames, makeBytes },
      );
      await host.start();
      // The person always says no, so that nothing is granted but by the steps.
      host.approvals.on('changed', () => {
        for (const one of host.approvals.list()) {
          queueMicrotask(
            () =>
              void host.approvals
                .decide(one.approvalId, false, { grant: undefined, password: undefined })
                .catch(() => {}),
          );
        }
      });
      const page = testPage(host, app);
      // What is granted by these steps, kept beside the host's own books, which may be what is wrong.
      let grants: Grant[] = [];
      for (const one of all) {
        if (one.kind === 'grant') {
          records.grant(app, one.grant);
          grants.push(one.grant);
        } else if (one.kind === 'revoke') {
          records.revoke(app, one.name);
          grants = grants.filter(({ name }) => name !== one.name);
        } else {
          const before = reached.length;
          await page.call(one.method, one.params);
          for (const got of reached.slice(before)) {
            // Without a question that the person agreed to, nothing else gets there at all.
            expect(Object.keys(needs)).toContain(got.call);
            const need = needs[got.call]!;
            const covering = grants.filter(
              ({ name, caveats }) =>
                name === need &&
                (got.drive === undefined ||
                  (caveats.drive === got.drive &&
                    (caveats.path === '' ||
                      got.path === caveats.path ||
                      got.path!.startsWith(`${caveats.path}/`)))),
            );
            expect([got, covering.length > 0]).toEqual([got, true]);
            if (got.drive !== undefined) expect(got.path!.split('/')).not.toContain('..');
          }
        }
      }
      await host.stop();
    }),
    { seed, numRuns },
  );
});
