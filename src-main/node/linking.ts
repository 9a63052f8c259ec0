import { AppError } from '../../src-shared/errors.ts';
import type { DeviceId } from '../identity/index.ts';
import { maxApprovalBytes, parseInviteCode } from '../identity/index.ts';
import type { FrameStream, ProtocolOptions } from '../network/index.ts';
import type { Online } from './core.ts';
import { activityWords } from './activity-words.ts';

/** Carries the linking of a new computer and the handing over of keys between computers of one user. */
export interface Linking {
  /** Resolves once the other computer has the request; what is approved later is taken in the background. */
  join(
    code: string,
    signal: AbortSignal,
  ): Promise<{ readonly peerId: DeviceId; readonly digits: string; readonly linked: boolean }>;
  stop(): void;
}

const linkProtocol = 'link/1';
const keysProtocol = 'keys/1';
const options: ProtocolOptions = {
  maxFrame: maxApprovalBytes,
  maxStreams: 4,
  idleTimeout: 11 * 60_000,
  maxRate: 20,
};

export function createLinking(node: Online): Linking {
  const { identity, network, logger } = node;
  const ended = new AbortController();

  network.handle(linkProtocol, options, async (stream) => {
    const first = await stream.read();
    if (!first) return;
    const { answer, approval } = identity.handleJoin(first, stream.peer);
    await stream.send(answer);
    await stream.send(await approval);
    await stream.close();
  });

  network.handle(keysProtocol, options, async (stream) => {
    // `keysFor` refuses every device that is not a certified one of this user.
    await stream.send(identity.keysFor(stream.peer));
    await stream.close();
  });

  async function askForKeys(peer: DeviceId): Promise<void> {
    const stream = await network.open(peer, keysProtocol, options, ended.signal);
    const bytes = await stream.read(ended.signal);
    await stream.close();
    if (bytes && identity.acceptKeys(bytes, peer)) node.events.emit('status', {});
  }

  function lookForKeys(): void {
    const { keysMissing, userId } = identity.status();
    if (!keysMissing || userId === null) return;
    for (const { peerId } of network.peers()) {
      if (network.cards.userOf(peerId) !== userId) continue;
      askForKeys(peerId).catch((error: unknown) =>
        logger.debug({ err: error, peerId }, 'no keys from this device'),
      );
    }
  }
  const off = [network.on('card', lookForKeys), network.on('peerConnected', lookForKeys)];

  async function awaitApproval(
    stream: FrameStream,
    accept: (bytes: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const approval = await stream.read(ended.signal);
    await stream.close();
    if (!approval) throw new AppError('cancelled', 'The other computer ended the linking.');
    await accept(approval);
    node.activity.add({ kind: 'device', ...activityWords.linked(), peerId: stream.peer });
    node.events.emit('status', {});
  }

  return {
    async join(text, signal) {
      const { code, address } = parseInviteCode(text);
      const targets =
        address === null
          ? network.peers().map((peer) => peer.peerId)
          : [await network.connect(address, signal)];
      if (targets.length === 0) {
        throw new AppError(
          'unreachable',
          'No other computer is connected. Give the code together with the address it was shown with.',
        );
      }
      let failure: unknown = null;
      for (const peer of targets) {
        const session = await identity.join({ code, inviter: peer });
        try {
          const stream = await network.open(peer, linkProtocol, options, signal);
          await stream.send(session.join);
          const answer = await stream.read(signal);
          if (!answer) throw new AppError('code_invalid', 'The other computer does not know this code.');
          const { digits } = session.handleAnswer(answer);
          awaitApproval(stream, (bytes) => session.accept(bytes)).catch((error: unknown) => {
            logger.warn({ err: error }, 'linking ended without approval');
            node.activity.add({ kind: 'problem', ...activityWords.linkingEnded() });
          });
          return { peerId: peer, digits, linked: false };
        } catch (error) {
          failure = error;
        }
      }
      throw failure;
    },
    stop() {
      ended.abort();
      for (const end of off) end();
    },
  };
}
