import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { AppError } from '../../../src-shared/errors.ts';
import type { Clock, RandomBytes } from '../../../src-shared/runtime.ts';
import type { Drive } from '../../drive/index.ts';
import type { OpenDrives } from '../../exchange/index.ts';
import type { Openness } from '../../hosting/index.ts';
import type { DeviceId } from '../../identity/index.ts';
import type { Network } from '../../network/index.ts';
import { askToShare, createSharingServer, sharingOptions } from './conversation.ts';

const protocol = 'open/1';
const noPeers: ReadonlySet<DeviceId> = new Set();

/** 32 bytes that prove knowledge of an unlisted drive's link; from them the key that reads cannot be computed. */
export function accessKeyOf(readSecret: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', readSecret, new Uint8Array(), 'extrachain open access v1', 32));
}

function proofOf(access: Uint8Array, parts: readonly (string | Uint8Array)[]): Uint8Array {
  const mac = createHmac('sha256', access).update('extrachain open proof v1\0');
  for (const part of parts) mac.update(part).update('\0');
  return new Uint8Array(mac.digest());
}

/** Who may read open drives here, and where we may read those of others. */
export interface OpenAccess extends OpenDrives {
  /** Registers the protocol; once, before the network starts. */
  serve(): void;
  /** From now on this drive may be read with `secret` (null: it is public) from these devices. */
  follow(driveId: string, secret: Uint8Array | null, peers: readonly DeviceId[]): void;
  unfollow(driveId: string): void;
  /** Shows a peer what a visitor of the gateway has shown us, once while it is connected. Throws `forbidden`. */
  speakFor(driveId: string, peer: DeviceId, access: Uint8Array, signal: AbortSignal): Promise<void>;
  secretOf(driveId: string): Uint8Array | null;
  stop(): void;
}

/**
 * @param deps.drive a drive open here, by id
 * @param deps.hosted who may read a drive that is kept here for others
 */
export function createOpenAccess(deps: {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly drive: (driveId: string) => Drive | null;
  readonly hosted: (driveId: string) => Openness;
}): OpenAccess {
  const { network } = deps;
  /** Peer and drive, with the link's secret that was proven: a new link ends what the old one opened. */
  const admitted = new Map<DeviceId, Map<string, Uint8Array>>();
  const spokenFor = new Map<DeviceId, Map<string, Uint8Array>>();
  const introducedTo = new Map<DeviceId, Map<string, Uint8Array>>();
  const followed = new Map<string, { secret: Uint8Array | null; peers: Set<DeviceId> }>();

  const off = network.on('peerDisconnected', ({ peerId }) => {
    admitted.delete(peerId);
    introducedTo.delete(peerId);
    spokenFor.delete(peerId);
  });

  function note(
    into: Map<DeviceId, Map<string, Uint8Array>>,
    peer: DeviceId,
    drive: string,
    secret: Uint8Array,
  ): void {
    const of = into.get(peer) ?? new Map<string, Uint8Array>();
    into.set(peer, of.set(drive, secret));
  }
  const noted = (
    of: Map<DeviceId, Map<string, Uint8Array>>,
    peer: DeviceId,
    drive: string,
    secret: Uint8Array,
  ): boolean => {
    const known = of.get(peer)?.get(drive);
    return known !== undefined && timingSafeEqual(known, secret);
  };

  /** The secret others must be shown so that they let us read; null: none is needed. */
  function needed(driveId: string): Uint8Array | null {
    const open = deps.drive(driveId);
    if (open?.visibility() === 'public') return null;
    return followed.get(driveId)?.secret ?? null;
  }

  const serve = createSharingServer({
    clock: deps.clock,
    random: deps.random,
    decide(peer, { drive: driveId, nonce, proof }) {
      const drive = deps.drive(driveId);
      const open = drive === null ? deps.hosted(driveId) : null;
      const ofDrive = drive?.visibility() === 'private' ? null : (drive?.readSecret() ?? null);
      // Who keeps it for others knows what is computed from the link, and not the link.
      const secret = open instanceof Uint8Array ? open : ofDrive;
      const access = secret !== null && secret === ofDrive ? accessKeyOf(secret) : secret;
      const wanted = access && proofOf(access, [driveId, peer, network.peerId, nonce]);
      if (!secret || !wanted || proof.length !== wanted.length || !timingSafeEqual(proof, wanted)) {
        return Promise.reject(new AppError('forbidden', 'This does not open anything here.'));
      }
      note(admitted, peer, driveId, secret);
      return Promise.resolve();
    },
  });

  /** Proves to a peer that this node knows the link, or speaks for somebody who does. */
  async function show(
    driveId: string,
    peer: DeviceId,
    access: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const stream = await network.open(peer, protocol, sharingOptions, signal);
    const prove = (nonce: Uint8Array): { proof: Uint8Array; card: Uint8Array } => ({
      proof: proofOf(access, [driveId, network.peerId, peer, nonce]),
      card: new Uint8Array(),
    });
    await askToShare(stream, { drive: driveId, ref: '' }, prove, signal);
  }

  return {
    async speakFor(driveId, peer, access, signal) {
      if (noted(spokenFor, peer, driveId, access)) return;
      await show(driveId, peer, access, signal);
      note(spokenFor, peer, driveId, access);
    },
    serve: () => network.handle(protocol, sharingOptions, serve),
    mayRead(driveId, peer) {
      const drive = deps.drive(driveId);
      if (drive === null) {
        const open = deps.hosted(driveId);
        return open === 'public' || (open !== null && noted(admitted, peer, driveId, open));
      }
      const secret = drive.readSecret();
      if (secret === null || drive.visibility() === 'private') return false;
      return drive.visibility() === 'public' || noted(admitted, peer, driveId, secret);
    },
    sources: (driveId) => followed.get(driveId)?.peers ?? noPeers,
    introduced(driveId, peer) {
      const secret = needed(driveId);
      return secret === null || noted(introducedTo, peer, driveId, secret);
    },
    async introduce(driveId, peer, signal) {
      const secret = needed(driveId);
      if (secret === null) return;
      await show(driveId, peer, accessKeyOf(secret), signal);
      note(introducedTo, peer, driveId, secret);
    },
    follow(driveId, secret, peers) {
      const known = followed.get(driveId);
      const all = new Set([...(known?.peers ?? []), ...peers]);
      followed.set(driveId, { secret: secret ?? known?.secret ?? null, peers: all });
    },
    unfollow: (driveId) => void followed.delete(driveId),
    secretOf: (driveId) => followed.get(driveId)?.secret ?? null,
    stop: off,
  };
}
