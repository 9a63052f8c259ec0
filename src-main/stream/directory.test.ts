import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { silentLogger } from '../../src-shared/runtime.ts';
import { createSigner, signDeviceCertificate } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import { makeAnnouncement, makeGenesis } from './codec/records.ts';
import { createStreamDirectory, keptFor } from './directory.ts';

const seed = (what: string): Uint8Array => createHash('sha256').update(what).digest();

function announcement(name: string, time: number) {
  const root = createSigner(seed(`${name} root`));
  const device = createSigner(seed(`${name} device`));
  const signer = createSigner(seed(`${name} stream`));
  const certificate = signDeviceCertificate(root, { deviceKey: device.publicKey, name: 'a', issuedAt: 1 });
  const genesis = makeGenesis(device, certificate, {
    audience: 'public',
    streamKey: signer.publicKey,
    startedAt: 1,
  });
  return makeAnnouncement(signer, {
    genesis,
    time,
    state: 'live',
    title: name,
    poster: null,
    renditions: [{ id: 'v', kind: 'av', codecs: 'avc1.42c01f', width: 2, height: 2, bandwidth: 1 }],
    targetLatency: 'default',
    dvrSeconds: 60,
    viewers: 0,
    addresses: [`/ip4/127.0.0.1/tcp/1/p2p/${genesis.device}`],
  });
}

/** A list for ten streams, and what gossip brings to it. */
function directory(followed: readonly string[]) {
  let now = 1_790_000_000_000;
  let hear: (data: Uint8Array) => unknown = () => {};
  const network = {
    handle: () => {},
    on: () => () => {},
    topic: (_: string, { validate }: { validate: (from: string, data: Uint8Array) => unknown }) => {
      hear = (data) => validate('', data);
      return { publish: async () => {}, leave: () => {} };
    },
  } as unknown as Network;
  const list = createStreamDirectory({
    network,
    clock: { now: () => now, after: () => () => {} },
    logger: silentLogger,
    random: (n) => randomBytes(n),
    followed: () => followed,
    mostKept: 10,
    heard: () => {},
    helpWanted: () => {},
    pictureOf: () => null,
  });
  return { list, hear: (data: Uint8Array) => hear(data), at: () => now, wait: (ms: number) => (now += ms) };
}

it('a full list of streams takes a new one in place of another, never of an own one or a followed user', () => {
  const friend = announcement('friend', 1_790_000_000_000);
  const { list, hear, at } = directory([friend.genesis.user]);
  const own = announcement('own', at());
  list.announce(own);
  expect(hear(friend.bytes)).toBe('accept');
  for (let n = 0; n < 60; n++) expect(hear(announcement(`stranger ${n}`, at()).bytes)).toBe('accept');
  const titles = list.list().map((one) => one.title);
  expect(titles).toHaveLength(10);
  expect(titles).toEqual(expect.arrayContaining(['own', 'friend', 'stranger 59']));
});

it('a stream that says it was announced in the future is not kept longer for it', () => {
  const { list, hear, at, wait } = directory([]);
  hear(announcement('ahead', at() + 9 * 60_000).bytes);
  expect(list.list()).toHaveLength(1);
  wait(keptFor + 1);
  expect(list.list()).toHaveLength(0);
});
