import type { Libp2p } from '@libp2p/interface';
import type { TransportManager } from '@libp2p/interface-internal';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import { dialFirst } from './dialer.ts';
import type { PeerBook } from './peer-book.ts';
import type { PeerConnections } from './peer-connections.ts';

/** Makes connections: to what a person or another layer names, and to what the keeper wants. */
export interface Connector {
  /** See `Network.connect`. */
  connect(target: string, signal?: AbortSignal): Promise<string>;
  /** Dials given addresses; with `upgrade` although a connection exists. `timeout` in ms. @throws AppError `unreachable` */
  dial(peer: string, addresses: readonly string[], timeout: number, upgrade: boolean): Promise<void>;
}

export interface ConnectorDeps {
  readonly libp2p: Libp2p;
  readonly transports: TransportManager;
  readonly clock: Clock;
  readonly book: PeerBook;
  readonly connections: PeerConnections;
  readonly refused: (peer: string) => boolean;
}

const connectTimeout = 15_000;

export function createConnector(deps: ConnectorDeps): Connector {
  const { libp2p, transports, clock, book, refused } = deps;
  const { state } = deps.connections;
  const self = libp2p.peerId.toString();

  async function connect(target: string, signal?: AbortSignal): Promise<string> {
    const peer = target.startsWith('/') ? peerOf(target) : parsePeer(target);
    const timeout = AbortSignal.timeout(connectTimeout);
    const all = signal ? AbortSignal.any([signal, timeout]) : timeout;
    if (peer === self) throw new AppError('invalid_argument', 'This is the address of this computer itself.');
    if (peer !== null && refused(peer)) {
      throw new AppError('unreachable', 'This computer broke the protocol and is refused for a while.');
    }
    if (peer === null) {
      try {
        const connection = await libp2p.dial(multiaddr(target), { signal: all });
        const found = connection.remotePeer.toString();
        book.succeeded(found, connection.remoteAddr.toString());
        return found;
      } catch (error) {
        throw dialError(error, signal);
      }
    }
    if (target.startsWith('/')) book.add(peer, [target]);
    if (state(peer) !== 'none') return peer;
    const addresses = [...new Set([...(target.startsWith('/') ? [target] : []), ...book.addresses(peer)])];
    try {
      const connection = await dialFirst(transports, clock, peerIdFromString(peer), addresses, all);
      book.succeeded(peer, connection.remoteAddr.toString());
      return peer;
    } catch (error) {
      throw dialError(error, signal);
    }
  }

  async function dial(
    peer: string,
    addresses: readonly string[],
    timeout: number,
    upgrade: boolean,
  ): Promise<void> {
    if (refused(peer)) throw new AppError('unreachable', 'This computer is refused for a while.');
    if (!upgrade && state(peer) !== 'none') return;
    const connection = await dialFirst(
      transports,
      clock,
      peerIdFromString(peer),
      addresses,
      AbortSignal.timeout(timeout),
    );
    book.succeeded(peer, connection.remoteAddr.toString());
  }

  return { connect, dial };
}

/** The peer a full multiaddr leads to; null when it names none. @throws AppError `invalid_argument` */
export function peerOf(address: string): string | null {
  try {
    const components = multiaddr(address).getComponents();
    const last = components.findLast((component) => component.name === 'p2p');
    return last?.value ?? null;
  } catch (error) {
    throw new AppError('invalid_argument', `"${address}" is not an address (a multiaddr).`, { cause: error });
  }
}

/** The id in its one form. @throws AppError `invalid_argument` */
export function parsePeer(text: string): string {
  try {
    return peerIdFromString(text).toString();
  } catch (error) {
    throw new AppError('invalid_argument', `"${text}" is not the ID of a computer.`, { cause: error });
  }
}

/** What a failed dial means to the one who asked for it. */
export function dialError(error: unknown, signal: AbortSignal | undefined): AppError {
  if (signal?.aborted) return new AppError('cancelled', 'Connecting was cancelled.', { cause: error });
  if (error instanceof AppError) return error;
  return new AppError('unreachable', 'The other computer can not be reached.', { cause: error });
}
