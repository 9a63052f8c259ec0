import { z } from 'zod';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import { deviceKeyOf, verifySignatureAsync } from '../../identity/index.ts';
import type { DeviceId, Signer, UserId } from '../../identity/index.ts';
import type { FrameStream, Network, ProtocolOptions } from '../../network/index.ts';
import type { Told } from './choice.ts';
import { receipt, receiptBytes, useBytes, useOnWire } from './frames.ts';
import type { Receipt, Use } from './frames.ts';
import type { ServiceRecords } from './records.ts';

/** `/extrachain/service-ratings/1`: one question, one answer. */
const protocol = 'service-ratings/1';
const options: ProtocolOptions = { maxFrame: 64 * 1024, maxStreams: 2, idleTimeout: 5000, maxRate: 8 };

/** Providers in one question, and peers that are asked at a time. */
const mostProviders = 32;
const mostAsked = 16;
/** The same is not asked of the same computer again for so long, ms. */
const askedFresh = 10 * 60_000;
/** What was told counts for so long, ms; and a provider's word that somebody called it, days. */
const toldFresh = 24 * 3600_000;
const useDays = 90;
/** Ratings of one provider, and providers, that are remembered. */
const mostRaters = 64;
const mostRated = 2000;
const answerMs = 3000;
const dayMs = 86_400_000;

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const provider = z.string().min(1).max(128);
const question = z.discriminatedUnion('ask', [
  /** How calls to these computers went. */
  z.strictObject({
    v: z.literal(1),
    ask: z.literal('ratings'),
    interface: hex32,
    peers: z.array(provider).min(1).max(mostProviders),
  }),
  /** The provider's word for a receipt of its own. */
  z.strictObject({ v: z.literal(1), ask: z.literal('word'), receipt }),
]);
const toldRatings = z.strictObject({
  ratings: z
    .array(z.strictObject({ peer: provider, success: z.number().min(0).max(1), use: useOnWire }))
    .max(mostProviders),
});
const answer = z.union([toldRatings, z.strictObject({ use: useOnWire.nullable() })]);

function decode<T extends z.ZodType>(frame: Uint8Array, shape: T): z.output<T> {
  try {
    return shape.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(frame)));
  } catch (cause) {
    throw new AppError('malformed', 'A message about ratings is none that is expected.', { cause });
  }
}
/** @throws AppError `malformed` */
export const decodeRatingQuestion = (frame: Uint8Array): z.infer<typeof question> => decode(frame, question);
/** @throws AppError `malformed` */
export const decodeRatingAnswer = (frame: Uint8Array): z.infer<typeof answer> => decode(frame, answer);
const encode = (message: z.infer<typeof question> | z.infer<typeof answer>): Uint8Array =>
  new Uint8Array(Buffer.from(JSON.stringify(message)));

const signatureOf = (sig: string): Uint8Array => new Uint8Array(Buffer.from(sig, 'base64url'));

/** The computer of a service and who offers it there. */
export interface RatedProvider {
  readonly peer: DeviceId;
  readonly owner: UserId;
}

/** How others fared with providers, each as their own computer tells it. */
export interface ServiceRatings {
  /** What is known of a provider; null: nobody told anything. The middle rating counts, so that a few liars move little. */
  told(peer: string, interfaceHash: string): Told | null;
  /**
   * Asks connected people how they fared with these providers, each of them once in ten minutes; at once where nothing is left to ask.
   * Never rejects.
   */
  ask(interfaceHash: string, providers: readonly RatedProvider[]): Promise<void>;
  /** Has the provider's word for a call, once a day and in the background: with it this computer's rating counts for others. */
  noteCall(peer: DeviceId, receipt: Receipt): void;
  stop(): void;
}

/**
 * Ratings told between connected people. A rating counts with the word of the provider that the rater has called it (`Use`), once a person,
 * and never for a person's own services. Nothing is passed on: everybody tells only their own.
 */
export function createServiceRatings(deps: {
  readonly network: Network;
  readonly records: Pick<ServiceRecords, 'rating' | 'use' | 'keepUse'>;
  /** The device's key. */
  readonly device: () => Signer;
  /** null: no identity yet, so nothing to tell. */
  readonly user: () => UserId | null;
  /** Whether this computer tells its ratings. */
  readonly shares: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}): ServiceRatings {
  const { network, records, clock, logger } = deps;
  /** By provider and interface, by rater. */
  const ratings = new Map<string, Map<UserId, { readonly success: number; readonly time: number }>>();
  /** When a computer was asked about a provider last. */
  const asked = new Map<string, number>();
  /** Providers whose word is under way. */
  const wanted = new Set<string>();
  const ended = new AbortController();
  const keyOf = (peer: string, hash: string): string => `${peer} ${hash}`;

  network.handle(protocol, options, async (stream: FrameStream) => {
    const frame = await stream.read();
    if (frame === null) return;
    const asks = decodeRatingQuestion(frame);
    await stream.send(
      encode(
        asks.ask === 'ratings'
          ? { ratings: ownRatings(asks.interface, asks.peers) }
          : { use: await wordFor(asks.receipt, stream.peer) },
      ),
    );
    await stream.close();
  });

  function ownRatings(hash: string, peers: readonly string[]): z.infer<typeof toldRatings>['ratings'] {
    const own = deps.user();
    if (own === null || !deps.shares()) return [];
    return [...new Set(peers)].flatMap((peer) => {
      const use = records.use(own, peer, hash);
      // What a computer thinks of its own person's services is worth nothing.
      if (!use || use.owner === own) return [];
      return [{ peer, success: Math.round(records.rating(peer, hash).success * 1000) / 1000, use }];
    });
  }

  /** Our word for a call that we signed a receipt of, for the person it names alone. */
  async function wordFor({ sig, ...body }: Receipt, from: DeviceId): Promise<Use | null> {
    const device = deps.device();
    if (body.caller !== network.cards.userOf(from)) return null;
    const ours = await verifySignatureAsync(device.publicKey, receiptBytes(body), signatureOf(sig));
    if (!ours) return null;
    const { owner, service, interface: hash, caller, time } = body;
    const use = { owner, service, interface: hash, caller, day: Math.floor(time / dayMs) };
    return { ...use, sig: Buffer.from(device.sign(useBytes(use))).toString('base64url') };
  }

  /** One question and its answer. @throws AppError `unsupported`, `unreachable`, `malformed` */
  async function exchange(
    peer: DeviceId,
    asks: z.infer<typeof question>,
  ): Promise<z.infer<typeof answer> | null> {
    const limit = AbortSignal.any([ended.signal, AbortSignal.timeout(answerMs)]);
    const stream = await network.open(peer, protocol, options, limit);
    try {
      await stream.send(encode(asks));
      const frame = await stream.read(limit);
      const told = frame && decodeRatingAnswer(frame);
      await stream.close();
      return told;
    } catch (error) {
      if (isAppError(error, 'malformed')) network.penalise(peer, 'an answer about ratings');
      stream.abort(error as Error);
      throw error;
    }
  }

  /** Whether the provider's computer says that this person called it. */
  async function isUse(
    use: Use,
    rater: UserId,
    { peer, owner }: RatedProvider,
    hash: string,
  ): Promise<boolean> {
    const { sig, ...body } = use;
    const today = Math.floor(clock.now() / dayMs);
    const fits =
      body.caller === rater &&
      body.owner === owner &&
      body.interface === hash &&
      rater !== owner &&
      body.day <= today + 1 &&
      body.day >= today - useDays;
    return fits && verifySignatureAsync(deviceKeyOf(peer), useBytes(body), signatureOf(sig));
  }

  function keep(peer: DeviceId, hash: string, rater: UserId, success: number): void {
    const key = keyOf(peer, hash);
    const ofProvider = ratings.get(key) ?? new Map<UserId, { success: number; time: number }>();
    ratings.delete(key);
    if (ratings.size >= mostRated) ratings.delete(ratings.keys().next().value as string);
    ratings.set(key, ofProvider);
    ofProvider.delete(rater);
    if (ofProvider.size >= mostRaters) ofProvider.delete(ofProvider.keys().next().value as UserId);
    ofProvider.set(rater, { success, time: clock.now() });
  }

  async function askOne(rater: DeviceId, hash: string, providers: readonly RatedProvider[]): Promise<void> {
    const peers = providers.map(({ peer }) => peer);
    const told = await exchange(rater, { v: 1, ask: 'ratings', interface: hash, peers });
    const user = network.cards.userOf(rater);
    if (!told || !('ratings' in told) || user === null) return;
    for (const one of providers) {
      const found = told.ratings.find(({ peer }) => peer === one.peer);
      if (found && (await isUse(found.use, user, one, hash))) keep(one.peer, hash, user, found.success);
    }
  }

  return {
    told(peer, hash) {
      const since = clock.now() - toldFresh;
      const fresh = [...(ratings.get(keyOf(peer, hash))?.values() ?? [])]
        .filter(({ time }) => time > since)
        .map(({ success }) => success)
        .sort((a, b) => a - b);
      if (fresh.length === 0) return null;
      const middle = fresh.length / 2;
      const success = (fresh[Math.ceil(middle) - 1]! + fresh[Math.floor(middle)]!) / 2;
      return { success, raters: fresh.length };
    },
    async ask(hash, given) {
      const providers = given.slice(0, mostProviders);
      const now = clock.now();
      const own = deps.user();
      const users = new Set<UserId>();
      const work: Promise<void>[] = [];
      for (const { peerId, userId } of network.peers()) {
        if (work.length >= mostAsked) break;
        // One computer of each other person; nobody is asked about themselves.
        if (userId === null || userId === own || users.has(userId)) continue;
        users.add(userId);
        const open = providers.filter(
          ({ peer, owner }) =>
            owner !== userId && (asked.get(`${peerId} ${keyOf(peer, hash)}`) ?? 0) <= now - askedFresh,
        );
        if (open.length === 0) continue;
        for (const { peer } of open) {
          if (asked.size >= mostRated * 4) asked.delete(asked.keys().next().value as string);
          asked.set(`${peerId} ${keyOf(peer, hash)}`, now);
        }
        work.push(
          askOne(peerId, hash, open).catch((error: unknown) =>
            logger.debug({ err: error, peer: peerId }, 'a peer did not tell its ratings'),
          ),
        );
      }
      await Promise.all(work);
    },
    noteCall(peer, { owner, interface: hash, ...rest }) {
      const own = deps.user();
      const today = Math.floor(clock.now() / dayMs);
      const before = own === null ? null : records.use(own, peer, hash);
      const key = keyOf(peer, hash);
      if (own === null || owner === own || !deps.shares() || before?.day === today || wanted.has(key)) return;
      wanted.add(key);
      void (async () => {
        const told = await exchange(peer, {
          v: 1,
          ask: 'word',
          receipt: { owner, interface: hash, ...rest },
        });
        const use = told && 'use' in told ? told.use : null;
        if (use && (await isUse(use, own, { peer, owner }, hash))) records.keepUse(own, peer, use);
      })()
        .catch((error: unknown) => logger.debug({ err: error, peer }, 'a provider gave no word for a rating'))
        .finally(() => wanted.delete(key));
    },
    stop() {
      ended.abort(new AppError('shutting_down', 'The node is stopping.'));
      network.unhandle(protocol);
    },
  };
}
