import { deviceIdOf, userIdOfHash } from '../../../identity/index.ts';
import type { DeviceId, UserId } from '../../../identity/index.ts';
import { hexOf } from '../../../ledger/index.ts';
import type { Address } from '../../../ledger/index.ts';
import type { ProtocolOptions } from '../../../network/index.ts';
import type { Online } from '../../core.ts';
import { decodeAnswer, decodeOffer, encodeAnswer, encodeOffer, maxSigningFrame } from './request-messages.ts';
import type { SigningAnswer, SigningOffer } from './request-messages.ts';
import { decodeRequest, encodeRequest } from './request.ts';
import type { SigningRequest } from './request.ts';

const protocol = 'signing/1';
const options: ProtocolOptions = {
  maxFrame: maxSigningFrame,
  maxStreams: 4,
  idleTimeout: 15_000,
  maxRate: 20,
};
/** ms */
const patience = 10_000;
/** People who are away are looked for so seldom, ms. */
const seekEvery = 60_000;

/** What goes to the others whom a request concerns. */
export interface Outgoing {
  readonly id: Uint8Array;
  readonly request: SigningRequest;
  readonly word: SigningOffer['word'];
  readonly concerned: readonly Address[];
}

interface Deps {
  /** Somebody offers a request, with what he has gathered. */
  readonly take: (
    from: UserId,
    request: SigningRequest,
    word: SigningOffer['word'],
  ) => Promise<SigningAnswer>;
  /** What the other side answered. */
  readonly answered: (
    from: UserId,
    id: Uint8Array,
    state: SigningAnswer['state'],
    theirs: SigningRequest | null,
  ) => Promise<void>;
}

/** Brings requests for signatures to those whom they concern, and theirs here. */
export interface SigningExchange {
  /** Tells connected computers of these people what they were not told yet; looks for those who are away now and then. */
  deliver(all: readonly Outgoing[]): Promise<void>;
  stop(): void;
}

export function createSigningExchange(node: Online, deps: Deps): SigningExchange {
  const { network, clock, logger } = node;
  const ended = new AbortController();
  /** By computer and request: what it was told last. */
  const told = new Map<string, string>();
  const sought = new Map<UserId, number>();

  network.handle(protocol, options, async (stream) => {
    const frame = await stream.read();
    if (frame === null) return;
    const { request, word } = decodeOffer(frame);
    const from = network.cards.userOf(stream.peer);
    const answer: SigningAnswer =
      from === null
        ? { state: 'unknown', request: new Uint8Array() }
        : await deps.take(from, decodeRequest(request), word);
    await stream.send(encodeAnswer(answer));
    await stream.close();
  });
  const off = network.on('peerDisconnected', ({ peerId }) => {
    for (const key of told.keys()) if (key.startsWith(`${peerId} `)) told.delete(key);
  });

  async function offer(peer: DeviceId, user: UserId, one: Outgoing): Promise<void> {
    const key = `${peer} ${hexOf(one.id)}`;
    const now = `${one.request.sigs.length} ${one.word}`;
    if (told.get(key) === now) return;
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(patience)]);
    const stream = await network.open(peer, protocol, options, signal);
    try {
      await stream.send(encodeOffer({ request: encodeRequest(one.request), word: one.word }));
      const frame = await stream.read(signal);
      if (frame === null) return;
      void stream.close();
      const { state, request } = decodeAnswer(frame);
      told.set(key, now);
      await deps.answered(user, one.id, state, request.length === 0 ? null : decodeRequest(request));
    } catch (error) {
      stream.abort(error as Error);
      throw error;
    }
  }

  /** Connects to a computer of somebody who is away; his card, asked of others, names them. */
  async function seek(user: UserId): Promise<void> {
    if (clock.now() - (sought.get(user) ?? -seekEvery) < seekEvery) return;
    sought.set(user, clock.now());
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(patience)]);
    const card = await network.cards.find(user, signal);
    for (const device of card.devices.map(({ deviceKey }) => deviceIdOf(deviceKey))) {
      if (device === network.peerId) continue;
      await network.connect(device, signal).catch(() => null);
    }
  }

  return {
    async deliver(all) {
      const pairs = all.flatMap((one) =>
        one.concerned.map((address) => [one, userIdOfHash(address)] as const),
      );
      for (const [one, user] of pairs) {
        const failed = (error: unknown): void =>
          logger.debug({ user, error: String(error) }, 'somebody was not asked for a signature');
        const peers = network.peers().filter(({ peerId }) => network.cards.userOf(peerId) === user);
        // Whoever is found is told as soon as he is connected.
        if (peers.length === 0) void seek(user).catch(failed);
        for (const { peerId } of peers) {
          if (ended.signal.aborted) return;
          await offer(peerId, user, one).catch(failed);
        }
      }
    },
    stop() {
      ended.abort();
      off();
    },
  };
}
