import { setImmediate as nextTurn } from 'node:timers/promises';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { DeviceId } from '../../identity/index.ts';
import type { FrameStream, ProtocolOptions } from '../../network/index.ts';
import type { Online } from '../core.ts';
import { formatDriveLink } from '../drive-link.ts';
import type { Drives } from '../drives.ts';
import {
  announce,
  decodeDirectory,
  encodeDirectory,
  maxDirectoryFrame,
  mostAnnouncements,
  isSigned,
  readAnnouncement,
  type Announcement,
} from './directory-messages.ts';

/** A public drive others speak of. */
export interface ListedDrive {
  readonly driveId: string;
  readonly name: string;
  readonly files: number;
  readonly bytes: number;
  /** ms, when a device last said that it has it. */
  readonly time: number;
  /** Devices that say so. */
  readonly holders: number;
  readonly link: string;
}

/** The public drives this node has heard of, until the ledger keeps a directory. */
export interface Directory {
  /** Whose name contains the words, newest first. Has the neighbours asked anew, for the next search, unless they were just now. */
  search(text: string, limit: number): readonly ListedDrive[];
  stop(): void;
}

const protocol = 'directory/1';
const options: ProtocolOptions = {
  maxFrame: maxDirectoryFrame,
  maxStreams: 4,
  idleTimeout: 10_000,
  maxRate: 20,
};
const askEvery = 30_000;
/** While somebody searches. ms. */
const askSoonest = 2_000;
const askMs = 10_000;
/** Peers asked at one time. */
const peersAtOnce = 8;
const renewEvery = 6 * 60 * 60_000;
const keptFor = 24 * 60 * 60_000;
/** Clocks may differ by so much. */
const clockSlack = 10 * 60_000;
const mostKept = 4096;
const mostOfOneDevice = 64;
/** Lists fetched of one peer in a row. */
const mostRounds = 32;

/**
 * Spreads which public drives there are from neighbour to neighbour: every node asks those it is connected to for what is new
 * in their lists (anti-entropy, Demers et al. 1987, "Epidemic algorithms for replicated database maintenance"). So a newcomer has the list at
 * once, and an idle network sends a few bytes a minute. Announcements are signed by the device that keeps the drive; whether it is
 * public shows when it is opened.
 */
export function createDirectory(node: Online, drives: Pick<Drives, 'list'>): Directory {
  const { network, identity, clock, logger, random } = node;
  const list = Buffer.from(random(16)).toString('hex');
  /** By drive and device, in the order in which they came: the place is for those who ask. */
  const known = new Map<string, { readonly place: number; readonly said: Announcement }>();
  const perDevice = new Map<DeviceId, number>();
  const heardFrom = new Map<DeviceId, { list: string; upTo: number }>();
  let places = 0;
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking = false;
  let stopped = false;
  let cancel = (): void => {};

  const keyOf = ({ driveId, device }: Announcement): string => `${driveId} ${device}`;

  function drop(key: string): void {
    const one = known.get(key);
    if (!one) return;
    known.delete(key);
    const left = (perDevice.get(one.said.device) ?? 1) - 1;
    if (left > 0) perDevice.set(one.said.device, left);
    else perDevice.delete(one.said.device);
  }

  /** News, from a device that has not said too much already. */
  function isNews(said: Announcement): boolean {
    const now = clock.now();
    if (said.time > now + clockSlack || said.time < now - keptFor) return false;
    const before = known.get(keyOf(said))?.said;
    if (before) return before.time < said.time;
    return (perDevice.get(said.device) ?? 0) < mostOfOneDevice;
  }

  function keep(said: Announcement): void {
    const key = keyOf(said);
    drop(key);
    known.set(key, { place: ++places, said });
    perDevice.set(said.device, (perDevice.get(said.device) ?? 0) + 1);
    if (known.size > mostKept) drop(known.keys().next().value as string);
  }

  function forgetOld(): void {
    const oldest = clock.now() - keptFor;
    for (const [key, { said }] of [...known]) if (said.time < oldest) drop(key);
  }

  function sayOwn(): void {
    const addresses = network.addresses();
    const now = clock.now();
    const open = drives.list().filter(({ drive }) => drive.visibility() === 'public');
    for (const { record, drive } of open.slice(0, mostOfOneDevice)) {
      const { driveId } = record;
      const before = known.get(`${driveId} ${network.peerId}`)?.said;
      const name = drive.name();
      if (before && before.name === name && now - before.time < renewEvery) continue;
      const { files, bytes } = drive.tree.count();
      const said = { driveId, name, files, bytes, time: now, addresses };
      keep(readAnnouncement(announce(identity.deviceSigner, said)));
    }
  }

  async function serve(stream: FrameStream): Promise<void> {
    for (;;) {
      const frame = await stream.read();
      if (frame === null) return;
      const message = decodeDirectory(frame);
      if (message.t !== 'ask') return;
      sayOwn();
      const after = message.list === list ? message.after : 0;
      const next = [...known.values()].filter(({ place }) => place > after).slice(0, mostAnnouncements);
      const announcements = next.map(({ said }) => said.signed);
      const upTo = next.at(-1)?.place ?? Math.max(after, 0);
      await stream.send(encodeDirectory({ t: 'have', list, upTo, announcements }));
    }
  }

  async function ask(peer: DeviceId): Promise<void> {
    const signal = AbortSignal.timeout(askMs);
    const stream = await network.open(peer, protocol, options, signal);
    try {
      for (let round = 0; round < mostRounds; round++) {
        const from = heardFrom.get(peer) ?? { list: '', upTo: 0 };
        await stream.send(encodeDirectory({ t: 'ask', list: from.list, after: from.upTo }));
        const frame = await stream.read(signal);
        const answer = frame && decodeDirectory(frame);
        if (answer?.t !== 'have') return;
        for (const signed of answer.announcements) {
          const said = readAnnouncement(signed);
          if (!isNews(said)) continue;
          if (!isSigned(said))
            throw new AppError('bad_signature', 'An announcement was not signed by the device it names.');
          keep(said);
          await nextTurn();
        }
        heardFrom.set(peer, { list: answer.list, upTo: answer.upTo });
        if (answer.announcements.length < mostAnnouncements) return;
      }
    } finally {
      await stream.close().catch(() => {});
    }
  }

  /** Peers of a version that does not know this are not asked again while they stay connected. */
  const silent = new Set<DeviceId>();

  async function tryAsk(peer: DeviceId): Promise<void> {
    if (silent.has(peer)) return;
    try {
      await ask(peer);
    } catch (error) {
      if (isAppError(error, 'unsupported')) silent.add(peer);
      if (isAppError(error, 'malformed') || isAppError(error, 'bad_signature'))
        network.penalise(peer, 'it passes on what is no announcement of a public drive');
      logger.debug({ err: error, peer }, 'a peer did not say which public drives it knows');
    }
  }

  async function look(): Promise<void> {
    forgetOld();
    sayOwn();
    const peers = network.peers().map((one) => one.peerId);
    askedAt = clock.now();
    asking = true;
    try {
      for (let at = 0; at < peers.length && !stopped; at += peersAtOnce)
        await Promise.all(peers.slice(at, at + peersAtOnce).map(tryAsk));
    } finally {
      asking = false;
    }
  }

  function later(ms: number): void {
    cancel();
    cancel = clock.after(ms, () => {
      void look()
        .catch((error: unknown) => logger.warn({ err: error }, 'public drives could not be looked for'))
        .finally(() => {
          if (!stopped) later(askEvery);
        });
    });
  }

  network.handle(protocol, options, serve);
  const off = [
    network.on('peerConnected', ({ peerId }) => void tryAsk(peerId)),
    network.on('peerDisconnected', ({ peerId }) => {
      heardFrom.delete(peerId);
      silent.delete(peerId);
    }),
  ];
  later(1000);

  return {
    search(text, limit) {
      sayOwn();
      if (!stopped && !asking && clock.now() - askedAt >= askSoonest) later(0);
      const words = text.normalize('NFC').toLowerCase().split(/\s+/).filter(Boolean);
      const found = new Map<string, { best: Announcement; holders: number; addresses: string[] }>();
      for (const { said } of known.values()) {
        const name = said.name.toLowerCase();
        if (said.driveId !== text && !words.every((word) => name.includes(word))) continue;
        const one = found.get(said.driveId);
        const best = one && one.best.time >= said.time ? one.best : said;
        const addresses = [...(one?.addresses ?? []), ...said.addresses.slice(0, 2)].slice(0, 6);
        found.set(said.driveId, { best, holders: (one?.holders ?? 0) + 1, addresses });
      }
      return [...found.values()]
        .sort((a, b) => b.best.time - a.best.time)
        .slice(0, limit)
        .map(({ best: { driveId, name, files, bytes, time }, holders, addresses }) => ({
          ...{ driveId, name, files, bytes, time, holders },
          link: formatDriveLink({ driveId, addresses, power: { t: 'read', secret: null } }),
        }));
    },
    stop() {
      stopped = true;
      cancel();
      for (const end of off) end();
    },
  };
}
