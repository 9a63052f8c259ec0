import { createEmitter } from '../../../src-shared/emitter.ts';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger, RandomBytes } from '../../../src-shared/runtime.ts';
import { cardDevices, wrapFor } from '../../identity/index.ts';
import type { DeviceId, UserId } from '../../identity/index.ts';
import type { Network, ProtocolOptions } from '../../network/index.ts';
import type { JsonValue } from '../collections/index.ts';
import {
  decodeMessage,
  encodeMessage,
  maxMessageFrame,
  maxMessageJson,
  messageBody,
  messageProtocol,
  openBody,
} from './codec.ts';
import type { MessageRecords } from './records.ts';

/** A message as an app gets it. */
export interface AppMessage {
  /** Grows: what `done` is told. */
  readonly n: number;
  readonly id: string;
  readonly from: UserId;
  readonly time: number;
  readonly body: JsonValue;
}

/** Messages between the same app of two people: sealed for the receiver, kept here until their computers have them. */
export interface Messages {
  /**
   * Seals a message and keeps it until it is delivered to every computer of the receiver, or for two weeks.
   * @throws AppError `user_unknown`, `too_large`, `quota_exceeded`
   */
  send(app: string, to: UserId, body: JsonValue, signal: AbortSignal): Promise<{ readonly id: string }>;
  /** What waits for the app, from a number on. */
  inbox(app: string, after: number): readonly AppMessage[];
  /** The app has dealt with it: it is forgotten. */
  done(app: string, n: number): void;
  /** Messages of that app still on their way. */
  waiting(app: string): number;
  /** While somebody listens for an app, its messages are taken whether or not it is installed. */
  onMessage(app: string, listener: () => void): () => void;
  /** People to keep in touch with. */
  receivers(): readonly UserId[];
  stop(): void;
}

const options: ProtocolOptions = {
  maxFrame: maxMessageFrame,
  maxStreams: 4,
  idleTimeout: 20_000,
  maxRate: 500,
};
const sendMs = 15_000;
/** What was not taken (a full inbox, an app not installed there) is tried again after this, ms. */
const retryAfter = 30_000;
const taken = Uint8Array.of(1);
const refused = Uint8Array.of(0);

export function createMessages(deps: {
  readonly network: Network;
  readonly records: MessageRecords;
  readonly user: () => UserId | null;
  readonly tryUnwrap: (box: Uint8Array) => Uint8Array | null;
  /** Whether that app takes messages here. */
  readonly accepts: (app: string) => boolean;
  /** The receivers changed: keep in touch with them. */
  readonly refreshMembers: () => void;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
}): Messages {
  const { network, records, clock, random, logger } = deps;
  const events = createEmitter<{ message: string }>((error) =>
    logger.error({ err: error }, 'a listener of messages failed'),
  );
  const sending = new Set<DeviceId>();
  const again = new Set<DeviceId>();
  const listened = new Map<string, number>();
  const accepts = (app: string): boolean => (listened.get(app) ?? 0) > 0 || deps.accepts(app);
  let stopped = false;

  const deviceCount = (user: UserId): number => {
    const card = network.cards.get(user);
    if (!card) return 1;
    const certified = cardDevices(card);
    return Math.max(1, card.devices.filter(({ deviceKey }) => certified.has(deviceKey)).length);
  };

  /** Sends what a device lacks, one after another; each is done when it says so. */
  async function deliver(peer: DeviceId): Promise<void> {
    const from = deps.user();
    const to = network.cards.userOf(peer);
    if (from === null || to === null) return;
    let list = records.untold(from, to, peer);
    if (list.length === 0) return;
    const stream = await network.open(peer, messageProtocol, options, AbortSignal.timeout(sendMs));
    try {
      while (list.length > 0 && !stopped) {
        for (const message of list) {
          await stream.send(encodeMessage(message));
          const answer = await stream.read(AbortSignal.timeout(sendMs));
          if (answer?.[0] !== taken[0]) {
            await stream.close();
            retryLater(peer);
            return;
          }
          records.told(message.id, peer, deviceCount(to));
        }
        list = records.untold(from, to, peer);
      }
      await stream.close();
    } catch (error) {
      stream.abort(error as Error);
      throw error;
    }
  }

  const timers = new Map<DeviceId, () => void>();
  function retryLater(peer: DeviceId): void {
    timers.get(peer)?.();
    timers.set(
      peer,
      clock.after(retryAfter, () => {
        timers.delete(peer);
        if (network.peers().some(({ peerId }) => peerId === peer)) tryDeliver(peer);
      }),
    );
  }

  function tryDeliver(peer: DeviceId): void {
    if (sending.has(peer)) {
      again.add(peer);
      return;
    }
    sending.add(peer);
    deliver(peer)
      .catch((error: unknown) => {
        if (isAppError(error, 'unsupported')) return;
        logger.debug({ err: error, peer }, 'messages could not be delivered yet');
        if (!stopped) retryLater(peer);
      })
      .finally(() => {
        sending.delete(peer);
        if (again.delete(peer) && !stopped) tryDeliver(peer);
      });
  }

  network.handle(messageProtocol, options, async (stream) => {
    for (;;) {
      const frame = await stream.read();
      if (frame === null) break;
      const message = decodeMessage(frame);
      const own = deps.user();
      // Who sends is who the device speaks for; a message passed on for somebody else is none.
      const genuine = network.cards.userOf(stream.peer) === message.from && message.to === own;
      if (!genuine || !accepts(message.app)) {
        await stream.send(refused);
        continue;
      }
      const what = records.take(message, clock.now());
      await stream.send(what === 'full' ? refused : taken);
      if (what === 'new') events.emit('message', message.app);
    }
    await stream.close();
  });

  const off = [
    network.on('peerConnected', ({ peerId }) => tryDeliver(peerId)),
    network.on('card', ({ card }) => {
      for (const { peerId } of network.peers())
        if (network.cards.userOf(peerId) === card.user) tryDeliver(peerId);
    }),
  ];
  records.expire(clock.now());

  return {
    async send(app, to, body, signal) {
      const from = deps.user();
      if (from === null) throw new AppError('no_identity', 'Create an identity first.');
      const json = JSON.stringify(body);
      if (Buffer.byteLength(json) > maxMessageJson) {
        throw new AppError('too_large', 'A message has at most 64 KiB of JSON.');
      }
      const card = network.cards.get(to) ?? (await network.cards.find(to, signal));
      const id = random(16);
      const head = { id, app, from, to };
      const box = wrapFor(card.encKey, messageBody(head, json), random);
      if (!records.queue({ ...head, time: clock.now(), box })) {
        throw new AppError('quota_exceeded', 'Too many messages wait to be delivered already.');
      }
      deps.refreshMembers();
      for (const { peerId, userId } of network.peers()) if (userId === to) tryDeliver(peerId);
      return { id: Buffer.from(id).toString('hex') };
    },
    inbox(app, after) {
      const own = deps.user();
      if (own === null) return [];
      const found: AppMessage[] = [];
      for (const { n, id, sender, time, box } of records.inbox(own, app, after)) {
        const plain = deps.tryUnwrap(box);
        const json = plain && openBody({ id, app, from: sender, to: own, time, box }, plain);
        let body: JsonValue;
        try {
          if (json === null) throw new Error('not for us');
          body = JSON.parse(json) as JsonValue;
        } catch {
          // It will never open: sealed for a key that is gone, or made up.
          records.done(own, app, n);
          continue;
        }
        found.push({ n, id: Buffer.from(id).toString('hex'), from: sender, time, body });
      }
      return found;
    },
    done(app, n) {
      const own = deps.user();
      if (own !== null) records.done(own, app, n);
    },
    waiting: (app) => records.waiting(deps.user() ?? '', app),
    onMessage(app, listener) {
      listened.set(app, (listened.get(app) ?? 0) + 1);
      const off = events.on('message', (which) => {
        if (which === app) listener();
      });
      return () => {
        off();
        listened.set(app, (listened.get(app) ?? 1) - 1);
      };
    },
    receivers: () => records.receivers(deps.user() ?? ''),
    stop() {
      stopped = true;
      for (const cancel of timers.values()) cancel();
      for (const end of off) end();
      network.unhandle(messageProtocol);
    },
  };
}
