import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { createFinder } from './find.ts';
import { encodeMessage } from './messages.ts';
import type { FindAnswer } from './messages.ts';
import type { FrameStream } from './types.ts';

async function record(signer: PrivateKey, of: PrivateKey, address: string, seq: number): Promise<Uint8Array> {
  const body = new PeerRecord({
    peerId: peerIdFromPrivateKey(of),
    multiaddrs: [multiaddr(address)],
    seqNumber: BigInt(seq),
  });
  return (await RecordEnvelope.seal(body, signer)).marshal();
}

/** A finder whose every third answers with these bytes. */
function finderThatHears(answer: () => Uint8Array | null): {
  finder: ReturnType<typeof createFinder>;
  breaches: string[];
} {
  const breaches: string[] = [];
  const stream: FrameStream = {
    peer: 'third',
    send: async () => {},
    read: async () => answer(),
    close: async () => {},
    abort() {},
    closed: Promise.resolve(),
  };
  const finder = createFinder({
    open: async () => stream,
    isConnected: () => false,
    recordOf: async () => null,
    penalise: (_peer, reason) => void breaches.push(reason),
  });
  return { finder, breaches };
}

const signal = new AbortController().signal;

describe('asking a third about a peer', async () => {
  const wanted = await generateKeyPair('Ed25519');
  const liar = await generateKeyPair('Ed25519');
  const peer = peerIdFromPrivateKey(wanted).toString();
  const answer = (bytes: Uint8Array | null, of = peer): FindAnswer => ({
    t: 'found',
    found: [{ peer: of, connected: true, record: bytes }],
  });

  it('believes addresses the peer signed', async () => {
    const bytes = await record(wanted, wanted, '/ip4/127.0.0.9/tcp/1', 5);
    const { finder, breaches } = finderThatHears(() => encodeMessage(answer(bytes)));
    const [sighting] = await finder.ask('third', [peer], signal);
    expect(sighting).toMatchObject({ peer, third: 'third', connected: true });
    expect(sighting!.addresses).toEqual(['/ip4/127.0.0.9/tcp/1']);
    expect(breaches).toEqual([]);
  });

  it.each([
    ['signed by someone else', () => record(liar, wanted, '/ip4/127.0.0.9/tcp/1', 5), 'bad_signature'],
    ['of someone else', () => record(liar, liar, '/ip4/127.0.0.9/tcp/1', 5), 'bad_signature'],
    ['of random bytes', async () => Uint8Array.of(1, 2, 3), 'bad_signature'],
  ])('refuses a record %s and counts it', async (_what, make, code) => {
    const bytes = await make();
    const { finder, breaches } = finderThatHears(() => encodeMessage(answer(bytes)));
    await expect(finder.ask('third', [peer], signal)).rejects.toMatchObject({ code });
    expect(breaches).toHaveLength(1);
  });

  it('refuses a flipped bit anywhere in a record', async () => {
    const good = await record(wanted, wanted, '/ip4/127.0.0.9/tcp/1', 5);
    for (let at = 0; at < good.length; at += 3) {
      const bytes = Uint8Array.from(good);
      bytes[at]! ^= 0x10;
      const { finder } = finderThatHears(() => encodeMessage(answer(bytes)));
      const result = await finder.ask('third', [peer], signal).catch((error: { code: string }) => error.code);
      expect(result, `byte ${at}`).toMatch(/bad_signature|malformed/);
    }
  });

  it('refuses answers nobody asked for, none at all, and broken ones', async () => {
    for (const bytes of [encodeMessage(answer(null, 'stranger')), null, Uint8Array.of(0xff)]) {
      const { finder, breaches } = finderThatHears(() => bytes);
      await expect(finder.ask('third', [peer], signal)).rejects.toThrow();
      expect(breaches).toHaveLength(1);
    }
  });

  it('does not let anybody bring back old addresses', async () => {
    const records = [
      await record(wanted, wanted, '/ip4/127.0.0.9/tcp/2', 7),
      await record(wanted, wanted, '/ip4/127.0.0.9/tcp/1', 6),
    ];
    const { finder } = finderThatHears(() => encodeMessage(answer(records.shift()!)));
    expect((await finder.ask('third', [peer], signal))[0]!.addresses).toEqual(['/ip4/127.0.0.9/tcp/2']);
    expect((await finder.ask('third', [peer], signal))[0]!.addresses).toEqual([]);
  });
});
