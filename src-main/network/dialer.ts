import type { Connection, PeerId } from '@libp2p/interface';
import type { TransportManager } from '@libp2p/interface-internal';
import { multiaddr } from '@multiformats/multiaddr';
import type { Multiaddr } from '@multiformats/multiaddr';
import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';

/** Between the starts of two attempts, ms (RFC 8305, "Happy Eyeballs", recommends 100 to 250). */
const stagger = 150;
/** Relays are only for those who can't be reached directly, so they start later. ms */
const relayHeadStart = 500;
/** One address gets at most this long, ms. */
const addressTimeout = 5000;
const maxAddresses = 16;

/**
 * Dials several addresses of one peer at once, each a little after the one before, and takes the first that answers.
 * (libp2p's own queue tries them one after another and joins later dials to earlier ones: one dead address would hold up
 * the relay that works.)
 * @throws AppError `unreachable`
 */
export async function dialFirst(
  transports: TransportManager,
  clock: Clock,
  peer: PeerId,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<Connection> {
  const targets = parse(addresses, peer).filter((target) => transports.dialTransportForMultiaddr(target));
  if (targets.length === 0) throw unreachable('No usable address of the other computer is known.');
  const direct = targets.filter((target) => !isRelayed(target));
  const relayed = targets.filter(isRelayed);
  const won = new AbortController();
  const errors: unknown[] = [];

  const attempt = async (target: Multiaddr, delay: number): Promise<Connection> => {
    if (delay > 0) await pause(clock, delay, won.signal);
    won.signal.throwIfAborted();
    signal.throwIfAborted();
    // The TLS encrypter keeps its signal for the life of the connection: it must never fire after success.
    const own = new AbortController();
    const abort = (): void => own.abort();
    const cancelTimer = clock.after(addressTimeout, abort);
    for (const outer of [won.signal, signal]) outer.addEventListener('abort', abort, { once: true });
    try {
      return await transports.dial(target, { signal: own.signal });
    } catch (error) {
      errors.push(error);
      throw error;
    } finally {
      cancelTimer();
      for (const outer of [won.signal, signal]) outer.removeEventListener('abort', abort);
    }
  };
  const attempts = [
    ...direct.map((target, index) => attempt(target, index * stagger)),
    ...relayed.map((target, index) =>
      attempt(target, (direct.length > 0 ? relayHeadStart : 0) + index * stagger),
    ),
  ];
  // The losers may still finish; what they opened beyond the first is closed again.
  let first: Connection | null = null;
  for (const one of attempts) {
    one.then(
      (connection) => {
        if (first && first !== connection)
          void connection.close().catch(() => connection.abort(new Error('not needed')));
        else first = connection;
      },
      () => {},
    );
  }
  try {
    const connection = await Promise.any(attempts);
    won.abort();
    return connection;
  } catch (error) {
    throw unreachable('The other computer can not be reached at any known address.', errors[0] ?? error);
  }
}

function parse(addresses: readonly string[], peer: PeerId): Multiaddr[] {
  const result = new Map<string, Multiaddr>();
  for (const text of addresses) {
    if (result.size >= maxAddresses) break;
    try {
      const suffix = `/p2p/${peer.toString()}`;
      const full = multiaddr(text.endsWith(suffix) ? text : text + suffix);
      result.set(full.toString(), full);
    } catch {
      // An address of a kind unknown here is as good as none.
    }
  }
  return [...result.values()];
}

function isRelayed(address: Multiaddr): boolean {
  return address.getComponents().some((component) => component.name === 'p2p-circuit');
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, resolve);
    signal.addEventListener(
      'abort',
      () => {
        cancel();
        resolve();
      },
      { once: true },
    );
  });
}

function unreachable(message: string, cause?: unknown): AppError {
  return new AppError('unreachable', message, { cause });
}
