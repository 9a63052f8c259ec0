import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Published } from '../../api/index.ts';
import type { DeviceId } from '../../identity/index.ts';
import type { FrameStream, ProtocolOptions } from '../../network/index.ts';
import type { Online } from '../core.ts';
import type { Drives } from '../drives.ts';
import { accessKeyOf } from './open-access.ts';
import {
  decodeRelayAnswer,
  decodeRelayRequest,
  encodeRelayAnswer,
  encodeRelayRequest,
  relayPiece,
  type RelayRequest,
} from './relay-messages.ts';
import { unlistedKey } from './sources.ts';

/** Unlisted drives that are kept elsewhere, for a gateway: it gets what is sealed for the link's holder, and no key. */
export interface Relay {
  /**
   * Asks a computer that keeps the drive.
   * @param access proves knowledge of the link; the key that reads cannot be computed from it
   * @throws AppError `not_found` when nobody is found who answers for this link
   */
  ask(request: RelayRequest, access: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

const protocol = 'published/1';
const options: ProtocolOptions = { maxFrame: relayPiece, maxStreams: 16, idleTimeout: 20_000, maxRate: 0 };
/** A computer found for a drive is asked again for so long without a new search, ms. */
const rememberedFor = 10 * 60_000;
const mostRemembered = 256;
const searchMs = 5000;
/** Storage hosts are among them, which serve ciphertext and can't seal anything for the link's holder. */
const mostProviders = 16;

/** Answers gateways about unlisted drives kept here, once they showed that they speak for somebody who has the link. */
export function serveRelay(node: Online, drives: () => Drives, published: () => Published): void {
  async function answer(peer: DeviceId, request: RelayRequest): Promise<Uint8Array> {
    const drive = drives().opened(request.drive);
    const secret = drive?.readSecret() ?? null;
    // What the peer has shown counts, and nothing it sends here: see `open-access`.
    if (!secret || !node.open.mayRead(request.drive, peer))
      throw new AppError('forbidden', 'This does not open anything here.');
    const access = accessKeyOf(secret);
    const signal = AbortSignal.timeout(options.idleTimeout);
    if (request.t === 'folder')
      return published().folder(request.drive, access, request.node, request.after, signal);
    if (request.t === 'file') return published().file(request.drive, access, request.node, signal);
    const block = { file: request.node, index: request.index, id: request.id };
    return published().block(request.drive, access, block, signal);
  }

  node.network.handle(protocol, options, async (stream) => {
    const frame = await stream.read();
    if (frame === null) return;
    try {
      const bytes = await answer(stream.peer, decodeRelayRequest(frame));
      await stream.send(encodeRelayAnswer({ t: 'yes', bytes: bytes.length }));
      for (let at = 0; at < bytes.length; at += relayPiece)
        await stream.send(bytes.subarray(at, at + relayPiece));
    } catch (error) {
      const breach = isAppError(error, 'malformed') || isAppError(error, 'too_large');
      if (breach || !isAppError(error)) throw error;
      await stream.send(encodeRelayAnswer({ t: 'no', code: error.code }));
    }
    await stream.close();
  });
}

export function createRelay(node: Online): Relay {
  const { network, clock } = node;
  const found = new Map<string, { readonly peer: DeviceId; readonly until: number }>();

  async function read(stream: FrameStream, signal: AbortSignal): Promise<Uint8Array> {
    const first = await stream.read(signal);
    if (first === null) throw new AppError('unreachable', 'The other computer closed the connection.');
    const answer = decodeRelayAnswer(first);
    if (answer.t === 'no') throw new AppError(answer.code, 'The other computer does not hand this out.');
    const bytes = new Uint8Array(answer.bytes);
    for (let at = 0; at < bytes.length;) {
      const piece = await stream.read(signal);
      if (piece === null || piece.length === 0 || at + piece.length > bytes.length)
        throw new AppError('malformed', 'An answer is not as long as it says.');
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  async function askOf(
    peer: DeviceId,
    request: RelayRequest,
    access: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    await node.open.speakFor(request.drive, peer, access, signal);
    const stream = await network.open(peer, protocol, options, signal);
    try {
      await stream.send(encodeRelayRequest(request));
      return await read(stream, signal);
    } finally {
      await stream.close().catch(() => {});
    }
  }

  /** Only a link's holder can compute under which key a drive stands in the DHT. */
  async function* providers(drive: string, access: Uint8Array, signal: AbortSignal): AsyncIterable<DeviceId> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(searchMs)]);
    const all = await network.providers
      .find(unlistedKey(drive, access), mostProviders, limit)
      .catch(() => []);
    for (const { peerId, addresses } of all) {
      if (network.peers().some((peer) => peer.peerId === peerId)) {
        yield peerId;
        continue;
      }
      for (const address of addresses.slice(0, 4)) {
        const peer = await network.connect(address, signal).catch(() => null);
        if (peer !== peerId) continue;
        yield peer;
        break;
      }
    }
  }

  return {
    async ask(request, access, signal) {
      const name = `${request.drive} ${Buffer.from(access).toString('hex')}`;
      const known = found.get(name);
      if (known && known.until > clock.now()) {
        try {
          return await askOf(known.peer, request, access, signal);
        } catch (error) {
          signal.throwIfAborted();
          // It has the drive and says that there is no such file: nobody else would say otherwise.
          if (isAppError(error, 'not_found')) throw error;
        }
      }
      found.delete(name);
      for await (const peer of providers(request.drive, access, signal)) {
        try {
          const bytes = await askOf(peer, request, access, signal);
          found.set(name, { peer, until: clock.now() + rememberedFor });
          if (found.size > mostRemembered) found.delete(found.keys().next().value as string);
          return bytes;
        } catch (error) {
          signal.throwIfAborted();
          if (!isAppError(error)) throw error;
        }
      }
      throw new AppError('not_found', 'There is no such drive, or nobody who has it is reached.');
    },
  };
}
