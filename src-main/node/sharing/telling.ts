import { isAppError } from '../../../src-shared/errors.ts';
import type { DeviceId, UserId } from '../../identity/index.ts';
import type { ProtocolOptions } from '../../network/index.ts';
import type { Online } from '../core.ts';

/** Tells connected devices what their users have a part in, in one frame, and again when that is something else. */
export interface Telling {
  /** What they are told may be something else now. */
  soon(): void;
  stop(): void;
}

/** ms for one device to take it. */
const sendMs = 10_000;

/** @param deps.after ms for which changes are gathered before anybody is told */
export function createTelling<T>(
  { network, clock, logger }: Pick<Online, 'network' | 'clock' | 'logger'>,
  deps: {
    readonly protocol: string;
    readonly options: ProtocolOptions;
    readonly after: number;
    /** For the log: what they are told of. */
    readonly subject: string;
    noticesFor(user: UserId): readonly T[];
    encode(notices: readonly T[]): Uint8Array;
  },
): Telling {
  /** What each connected device was told last. */
  const told = new Map<DeviceId, string>();
  let cancel: (() => void) | null = null;

  async function tell(peer: DeviceId): Promise<void> {
    const user = network.cards.userOf(peer);
    if (user === null) return;
    const notices = deps.noticesFor(user);
    const text = JSON.stringify(notices);
    const before = told.get(peer);
    if (text === before || (before === undefined && notices.length === 0)) return;
    told.set(peer, text);
    const stream = await network.open(peer, deps.protocol, deps.options, AbortSignal.timeout(sendMs));
    await stream.send(deps.encode(notices));
    // An empty list back says that it was taken.
    await stream.read(AbortSignal.timeout(sendMs));
    await stream.close();
  }

  const tryTell = (peer: DeviceId): void =>
    void tell(peer).catch((error: unknown) => {
      // Of a version that does not know this: not asked again while it stays connected.
      if (isAppError(error, 'unsupported')) return;
      told.delete(peer);
      logger.debug({ err: error, peer }, `a device was not told of ${deps.subject}`);
    });

  function soon(): void {
    cancel ??= clock.after(deps.after, () => {
      cancel = null;
      for (const { peerId } of network.peers()) tryTell(peerId);
    });
  }

  const off = [
    network.on('peerConnected', ({ peerId }) => tryTell(peerId)),
    network.on('peerDisconnected', ({ peerId }) => void told.delete(peerId)),
    network.on('card', soon),
  ];

  return {
    soon,
    stop() {
      cancel?.();
      for (const end of off) end();
    },
  };
}
