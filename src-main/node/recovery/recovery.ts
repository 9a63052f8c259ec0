import { isAppError } from '../../../src-shared/errors.ts';
import type { DeviceId, UserId } from '../../identity/index.ts';
import type { FrameStream, ProtocolOptions } from '../../network/index.ts';
import type { Online } from '../core.ts';
import type { Drives } from '../drives.ts';
import type { NameGiven } from '../people.ts';
import type { SharedNotice } from '../sharing/shared-messages.ts';
import {
  decodeRecoveryAnswer,
  decodeRecoveryRequest,
  encodeRecovery,
  maxRecoveryFrame,
  recordsPerUser,
} from './messages.ts';
import { mostHolders, openRecord, sealRecord, type RecoveryRecord } from './record.ts';
import { createRecoveryRecords } from './records.ts';
import { activityWords } from '../activity-words.ts';

/**
 * Brings a person back who has nothing but the phrase: each computer gives a sealed record of what its person has to those that keep
 * the person's drives, and a computer on which the phrase was restored asks for these.
 */
export interface Recovery {
  /** The phrase was restored here: from now on the person's records are looked for, for a month. */
  restored(user: UserId): void;
  /** Another identity is in use here. */
  actorChanged(): void;
  /** Computers that have this computer's record as it is now; null: there is nothing to come back to. */
  keepers(): number | null;
  /** Keys of 32 bytes under which the DHT is to name this computer. */
  announced(): Iterable<Uint8Array>;
  stop(): void;
}

interface Parts {
  readonly drives: () => Drives;
  /** Link of the network in use, null while there is none but the one every computer begins with. */
  readonly network: () => string | null;
  readonly names: (user: UserId) => readonly NameGiven[];
  /** What was found in records of the person. */
  readonly found: {
    /** @returns how many of them were not known before */
    drives(user: UserId, device: DeviceId, drives: readonly SharedNotice[]): number;
    names(user: UserId, names: readonly NameGiven[]): void;
    network(link: string): Promise<void>;
  };
}

const protocol = 'recovery/1';
const options: ProtocolOptions = {
  maxFrame: maxRecoveryFrame,
  maxStreams: 4,
  idleTimeout: 10_000,
  maxRate: 16,
};
const talkMs = 15_000;
/** Changes come in crowds. ms. */
const tellAfter = 3_000;
/** Those who keep the record; more are not asked to. */
const mostKeepers = 16;
/** A record that nobody has is looked for so long, ms. */
const lookFor = 30 * 24 * 60 * 60_000;
const firstLookMs = 2_000;
const lastLookMs = 10 * 60_000;
const searchMs = 10_000;
const mostProviders = 8;
const mostAnnounced = 256;

export function createRecovery(node: Online, parts: Parts): Recovery {
  const { network, identity, hosting, clock, random, logger, events, activity } = node;
  const records = createRecoveryRecords(node.db);
  const ended = new AbortController();

  /** This computer's record as it was last written down, and who has it. */
  let own: { readonly user: UserId; readonly text: string; readonly time: number } | null = null;
  const has = new Map<DeviceId, number>();
  /** Who was asked for records and had some. */
  const answered = new Set<DeviceId>();
  /** Opened already: computer and time of a record. */
  const taken = new Map<DeviceId, number>();
  let cancelTell: (() => void) | null = null;
  let cancelLook: (() => void) | null = null;
  let lookMs = firstLookMs;

  const macKey = (user: UserId): Uint8Array => identity.appSecret('extrachain', 'recovery record', user);
  const locatorOf = (user: UserId): Uint8Array => identity.appSecret('extrachain', 'recovery locator', user);
  const connected = (): Set<DeviceId> => new Set(network.peers().map(({ peerId }) => peerId));

  /** Somebody whose drives are kept here, or who is a member of one that is. */
  function knows(user: UserId): boolean {
    if (user === identity.userId()) return true;
    return (
      hosting.hosted().some((one) => one.userId === user) ||
      parts
        .drives()
        .list()
        .some(({ drive }) => drive.roleOf(user) !== null)
    );
  }

  async function serve(stream: FrameStream): Promise<void> {
    const frame = await stream.read();
    if (frame === null) return;
    const request = decodeRecoveryRequest(frame);
    const user = network.cards.userOf(stream.peer);
    if (request.t === 'keep') {
      const may = user !== null && knows(user);
      if (may) {
        records.keep(user, stream.peer, request.box, request.locator, clock.now());
      }
      await stream.send(encodeRecovery({ t: may ? 'kept' : 'refused' }));
    } else {
      for (const box of user === null ? [] : records.of(user)) {
        await stream.send(encodeRecovery({ t: 'record', box }));
      }
      await stream.send(encodeRecovery({ t: 'end' }));
    }
    await stream.close();
  }

  function compose(user: UserId): Omit<RecoveryRecord, 'device' | 'time'> | null {
    const list = parts.drives().list();
    if (list.length === 0) return null;
    const drives = list.flatMap(({ record, drive }) => {
      const role = drive.ownRole();
      return role === null ? [] : [{ driveId: record.driveId, name: drive.name(), role }];
    });
    if (drives.length === 0) return null;
    const holders = new Set(list.flatMap(({ record }) => hosting.addresses(record.driveId)));
    return {
      drives,
      holders: [...holders].slice(0, mostHolders),
      network: parts.network() ?? '',
      names: parts.names(user),
    };
  }

  /** Connected computers that keep drives of this person, or share some. */
  function keepersNow(): DeviceId[] {
    const list = parts.drives().list();
    const hosts = new Set(
      list.flatMap(({ record }) => hosting.replicas(record.driveId).hosts.map((host) => host.peerId)),
    );
    const isMember = (peer: DeviceId): boolean => {
      const user = network.cards.userOf(peer);
      return user !== null && list.some(({ drive }) => drive.roleOf(user) !== null);
    };
    const here = [...connected()];
    // Hosts are always there; members have drives of their own to tell of.
    return [
      ...here.filter((peer) => hosts.has(peer)),
      ...here.filter((p) => !hosts.has(p) && isMember(p)),
    ].slice(0, mostKeepers);
  }

  async function tell(): Promise<void> {
    const user = identity.userId();
    if (user === null || ended.signal.aborted) return;
    const record = compose(user);
    if (record === null) {
      own = null;
      return;
    }
    const text = JSON.stringify(record);
    if (own?.user !== user || own.text !== text) {
      own = { user, text, time: records.nextTime(user, clock.now()) };
      has.clear();
    }
    const { time } = own;
    const waiting = keepersNow().filter((peer) => has.get(peer) !== time);
    if (waiting.length === 0) return;
    const key = macKey(user);
    const box = sealRecord(
      { ...record, device: identity.deviceId, time },
      identity.card(user).encKey,
      key,
      random,
    );
    key.fill(0);
    const frame = encodeRecovery({ t: 'keep', locator: locatorOf(user), box });
    for (const peer of waiting) {
      await talk(peer, frame, (answer) => {
        if (answer.t === 'kept') has.set(peer, time);
      });
    }
  }

  /** Sends one frame and reads answers until the other side closes. Failures are of that peer alone. */
  async function talk(
    peer: DeviceId,
    frame: Uint8Array,
    take: (answer: ReturnType<typeof decodeRecoveryAnswer>) => void,
  ): Promise<void> {
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(talkMs)]);
    try {
      const stream = await network.open(peer, protocol, options, signal);
      await stream.send(frame);
      for (let n = 0; n <= recordsPerUser; n++) {
        const bytes = await stream.read(signal);
        if (bytes === null) break;
        const answer = decodeRecoveryAnswer(bytes);
        take(answer);
        if (answer.t !== 'record') break;
      }
      await stream.close();
    } catch (error) {
      if (isAppError(error, 'malformed')) network.penalise(peer, `recovery: ${error.message}`);
      logger.debug({ peer, err: error }, 'a computer did not talk about recovery records');
    }
  }

  function tellSoon(): void {
    cancelTell ??= clock.after(tellAfter, () => {
      cancelTell = null;
      tell().catch((error: unknown) => logger.warn({ err: error }, 'the recovery record was not told'));
    });
  }

  const isLooking = (): UserId | null => {
    const user = identity.userId();
    const since = user === null ? null : records.wantedSince(user);
    return since !== null && clock.now() - since < lookFor ? user : null;
  };

  /** null: no computer of this person made it, or one with a later program, which is not the fault of who keeps it. */
  function opened(user: UserId, box: Uint8Array): RecoveryRecord | null {
    const key = macKey(user);
    try {
      return openRecord(box, (sealed) => identity.tryUnwrap(sealed, user), key);
    } catch (error) {
      logger.info({ err: error }, 'a recovery record can not be read');
      return null;
    } finally {
      key.fill(0);
    }
  }

  /** What another computer of this person, or one that is gone, wrote down. */
  function take(user: UserId, box: Uint8Array): void {
    const record = opened(user, box);
    if (record === null || record.device === identity.deviceId) return;
    const { device, time } = record;
    if ((taken.get(device) ?? -1) >= time) return;
    taken.set(device, time);
    const fresh = parts.found.drives(user, device, record.drives);
    parts.found.names(user, record.names);
    if (fresh > 0) {
      const words = activityWords.drivesFound(record.drives.map((one) => one.name));
      events.emit('activity', activity.add({ kind: 'member', userId: user, ...words }));
    }
    for (const address of record.holders) {
      network.connect(address, AbortSignal.any([ended.signal, AbortSignal.timeout(talkMs)])).catch(() => {});
    }
    if (record.network === '') return;
    parts.found
      .network(record.network)
      .catch((error: unknown) =>
        logger.info({ err: error }, 'the network of a recovery record was not joined'),
      );
  }

  async function ask(user: UserId): Promise<void> {
    const frame = encodeRecovery({ t: 'ask' });
    for (const peer of connected()) {
      if (answered.has(peer) || ended.signal.aborted) continue;
      await talk(peer, frame, (answer) => {
        if (answer.t !== 'record') return;
        answered.add(peer);
        take(user, answer.box);
      });
    }
  }

  async function search(user: UserId): Promise<void> {
    const limit = AbortSignal.any([ended.signal, AbortSignal.timeout(searchMs)]);
    const here = connected();
    for (const { peerId, addresses } of await network.providers.find(locatorOf(user), mostProviders, limit)) {
      for (const address of here.has(peerId) ? [] : addresses.slice(0, 4)) {
        network.connect(address, limit).catch(() => {});
      }
    }
  }

  /** Again and again, ever more seldom: who keeps the records may be off. */
  function lookSoon(ms: number): void {
    cancelLook?.();
    if (isLooking() === null) return;
    cancelLook = clock.after(ms, () => {
      const user = isLooking();
      if (user === null) return;
      lookMs = Math.min(lookMs * 2, lastLookMs);
      ask(user)
        .then(() => search(user))
        .catch((error: unknown) => logger.debug({ err: error }, 'recovery records were not looked for'))
        .finally(() => {
          if (!ended.signal.aborted) lookSoon(lookMs);
        });
    });
  }

  /** Somebody new is there, or knows only now who asks. */
  function lookAtOnce(): void {
    lookMs = firstLookMs;
    lookSoon(firstLookMs);
  }

  network.handle(protocol, options, serve);
  const off = [
    network.on('peerConnected', () => {
      tellSoon();
      lookSoon(firstLookMs);
    }),
    network.on('peerDisconnected', ({ peerId }) => void answered.delete(peerId)),
    identity.on('card', () => {
      tellSoon();
      lookAtOnce();
    }),
    hosting.on('changed', tellSoon),
    events.on('drives', tellSoon),
    events.on('people', tellSoon),
    events.on('status', tellSoon),
  ];
  lookSoon(firstLookMs);

  return {
    restored(user) {
      records.wanted(user, clock.now());
      lookAtOnce();
    },
    actorChanged() {
      answered.clear();
      taken.clear();
      tellSoon();
      lookAtOnce();
    },
    keepers: () => (own === null ? null : [...has.values()].filter((time) => time === own!.time).length),
    announced: () => records.locators(mostAnnounced),
    stop() {
      ended.abort();
      cancelTell?.();
      cancelLook?.();
      for (const end of off) end();
    },
  };
}
