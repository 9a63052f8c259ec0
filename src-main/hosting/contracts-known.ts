import { isAppError } from '../../src-shared/errors.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import type { Drive } from '../drive/index.ts';
import { cardDevices, deviceKeyOf, openCard } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import { openContract } from './contract.ts';
import type { SignedContract } from './contract.ts';
import { talkTo } from './host-protocol.ts';
import type { ReplicaRecords } from './replica-records.ts';

/** What a member knows of where a drive's hosts are: the newest contract that one of its managers signed. */
export interface KnownContracts {
  newest(): SignedContract | null;
  /** Takes a contract made here, or shown by somebody; false when it is not newer or not by a manager of the drive. */
  learn(signed: SignedContract): boolean;
  /** Asks connected peers; returns whether anything was learnt. */
  ask(signal: AbortSignal): Promise<boolean>;
}

export function createKnownContracts(deps: {
  readonly drive: Drive;
  readonly network: Network;
  readonly records: ReplicaRecords;
  readonly logger: Logger;
}): KnownContracts {
  const { drive, network, records } = deps;
  const stored = records.knownContract(drive.id);
  let newest = stored && openContract(stored);

  function learn(signed: SignedContract): boolean {
    const { contract } = signed;
    if (contract.drive !== drive.id) return false;
    if (newest && contract.number <= newest.contract.number) return false;
    // What this very device signed needs no proof.
    if (contract.keeper !== network.peerId && !isByManager(signed)) return false;
    newest = signed;
    records.learn(drive.id, signed.bytes);
    return true;
  }

  /**
   * The card that comes with a contract says whose device signed: the one known here may lack it (two computers with one phrase
   * learn of each other's devices only when they meet).
   */
  function isByManager({ contract, card: bytes }: SignedContract): boolean {
    if (bytes === null) return false;
    const card = openCard(bytes);
    const key = deviceKeyOf(contract.keeper);
    if (!cardDevices(card).has(key)) return false;
    network.cards.add(bytes);
    const revoked = network.cards.get(card.user)?.revoked ?? [];
    if (revoked.some(({ deviceKey }) => Buffer.compare(deviceKey, key) === 0)) return false;
    return ['owner', 'manager'].includes(drive.roleOf(card.user) ?? '');
  }

  return {
    newest: () => newest,
    learn,
    async ask(signal) {
      let learnt = false;
      const peers = network.peers().map(({ peerId }) => peerId);
      await Promise.allSettled(
        [...new Set(peers)].map((peer) =>
          talkTo(network, peer, signal, async (ask) => {
            const { contracts } = await ask({ t: 'contracts', drive: drive.id });
            for (const bytes of contracts) learnt = learn(openContract(bytes)) || learnt;
          }).catch((error: unknown) => {
            if (isAppError(error, 'malformed') || isAppError(error, 'bad_signature')) {
              network.penalise(peer, error.message);
            }
          }),
        ),
      );
      return learnt;
    },
  };
}
