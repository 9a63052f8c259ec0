import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSigner, signDeviceCertificate } from '../identity/index.ts';
import { makeGenesis } from './codec/records.ts';
import { encodeOwnState, readOwnState } from './own-state.ts';
import type { OwnState } from './own-state.ts';

const seed = (what: string): Uint8Array => new Uint8Array(createHash('sha256').update(what).digest());

describe('an own stream that is kept', () => {
  const device = createSigner(seed('device'));
  const certificate = signDeviceCertificate(createSigner(seed('root')), {
    deviceKey: device.publicKey,
    name: 'desk',
    issuedAt: 1,
  });
  const state: OwnState = {
    secret: seed('stream'),
    genesis: makeGenesis(device, certificate, {
      audience: 'private',
      streamKey: createSigner(seed('stream')).publicKey,
      startedAt: 5,
    }),
    title: 'Harbour',
    poster: new Uint8Array([0xff, 0xd8, 0xff, 0xe0]),
    renditions: [
      { id: 'v', kind: 'av', codecs: 'avc1.42c01f', width: 640, height: 360, bandwidth: 1_000_000 },
    ],
    dvrSeconds: 1800,
    targetLatency: 'interactive',
    partMs: 200,
    fanOut: null,
    outlives: true,
    linkKey: null,
    audienceKey: seed('audience'),
    users: ['exc1a', 'exc1b'],
    audiences: 2,
    audience: seed('record'),
    keys: [seed('one'), seed('two')],
    number: 7,
    epoch: 3,
    runs: [{ run: 1, first: 300, inits: [seed('init')] }],
  };

  it('comes back as it was', () => {
    const { genesis, renditions, ...read } = readOwnState(encodeOwnState(state));
    const { genesis: before, renditions: given, ...rest } = state;
    expect(read).toEqual(rest);
    expect(genesis.streamId).toBe(before.streamId);
    expect(renditions).toMatchObject(given);
  });

  it('that is damaged is refused in words', () => {
    const bytes = encodeOwnState(state);
    for (let at = 0; at < bytes.length; at += 7)
      expect(() => readOwnState(bytes.subarray(0, at))).toThrow(/kept stream|damaged|short|malformed|read/i);
  });
});
