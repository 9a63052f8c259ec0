import type { Clock } from '../../src-shared/runtime.ts';
import type { Drive } from '../drive/index.ts';
import type { DeviceId, Signer } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import { memberTags, signContract } from './contract.ts';
import type { SignedContract } from './contract.ts';
import type { KnownContracts } from './contracts-known.ts';
import type { HostRow, ReplicaRecords } from './replica-records.ts';
import type { HostRole, Openness } from './types.ts';

/** Writes the contracts of one drive. */
export interface ContractMaker {
  /** What a contract reserves for such a host: what there is, what the history may need, and room to grow. Bytes. */
  reserved(role: HostRole): number;
  /** The number of the contract as it should be now: a new one when anything in it changed or it will end. */
  current(copies: number): number;
  /**
   * The current contract as that host gets it.
   * @param full it may still hold what others keep now: as much is reserved as for the fullest
   */
  of(row: HostRow, full: boolean): SignedContract;
}

const contractMs = 90 * 86_400_000;
const renewMs = 60 * 86_400_000;
const MiB = 1024 * 1024;
/** Contracts that reserve so many times what is needed are made smaller. */
const tooLarge = 2;

export function createContractMaker(deps: {
  readonly drive: Drive;
  readonly records: ReplicaRecords;
  readonly contracts: KnownContracts;
  readonly network: Network;
  readonly clock: Clock;
  readonly signer: Signer;
  readonly card: () => Uint8Array;
  readonly openness: () => Openness;
}): ContractMaker {
  const { drive, records, contracts, network, clock } = deps;
  const rows = (): readonly HostRow[] => records.hosts(drive.id);

  /** Sums over all blocks, as of that state of the list. */
  let sums = { seq: -1, whole: 0, slot: 0 };

  function blockBytes({ whole, slot }: HostRole): number {
    const seq = records.seq(drive.id);
    if (sums.seq !== seq) {
      sums = { seq, whole: records.totals(drive.id).whole, slot: records.slotBytes(drive.id) };
    }
    return (whole ? sums.whole : 0) + (slot === null ? 0 : sums.slot);
  }

  function reserved(role: HostRole): number {
    const bytes = blockBytes(role);
    const chain = Math.max(0, ...rows().map((row) => row.bytes - blockBytes(row)));
    return Math.ceil((1.25 * (bytes + Math.min(chain, bytes + 64 * MiB) + 8 * MiB)) / (16 * MiB)) * 16 * MiB;
  }

  type Terms = Omit<Parameters<typeof signContract>[0], 'v' | 'drive' | 'host' | 'keeper'>;
  function make(terms: Terms, host: DeviceId = network.peerId): SignedContract {
    const contract = { v: 1 as const, drive: drive.id, host, keeper: network.peerId, ...terms };
    return signContract(contract, deps.signer, deps.card());
  }

  /** Nobody holds more than a smaller contract would allow. */
  function isTidy(): boolean {
    const seq = records.seq(drive.id);
    return rows().every((row) => row.complete && row.sentSeq === seq);
  }

  return {
    reserved,
    current(copies) {
      const now = clock.now();
      const users = drive.members();
      const members = memberTags(
        drive.id,
        users.map(({ userId }) => userId),
      );
      const managers = memberTags(
        drive.id,
        users.filter(({ role }) => role === 'owner' || role === 'manager').map(({ userId }) => userId),
      );
      const hosts = rows().map(({ host, addresses, whole, slot }) => ({
        peerId: host,
        addresses,
        whole,
        slot,
      }));
      const open = deps.openness();
      const old = contracts.newest()?.contract;
      // Of the fullest role; each host's own contract reserves what that one needs.
      const needed = Math.max(0, ...rows().map(reserved));
      const mayShrink = old !== undefined && old.bytes > tooLarge * needed && isTidy();
      const isSame =
        old !== undefined &&
        old.keeper === network.peerId &&
        old.copies === copies &&
        old.until - now > renewMs &&
        old.bytes >= 0.9 * needed &&
        !mayShrink &&
        sameTags(old.members, members) &&
        sameTags(old.managers, managers) &&
        sameOpenness(old.open, open) &&
        JSON.stringify(old.hosts) === JSON.stringify(hosts);
      if (isSame) return old.number;
      const number = (old?.number ?? 0) + 1;
      const bytes = mayShrink ? needed : Math.max(needed, old?.bytes ?? 0);
      // Stored as it would be for ourselves.
      contracts.learn(
        make({ number, copies, bytes, members, managers, hosts, open, from: now, until: now + contractMs }),
      );
      return number;
    },
    of(row, full) {
      const { v: _v, drive: _d, host: _h, keeper: _k, ...terms } = contracts.newest()!.contract;
      const needed = reserved(row);
      const isLess = !full && rows().some((other) => reserved(other) > needed);
      return make({ ...terms, bytes: isLess ? needed : terms.bytes }, row.host);
    },
  };
}

function sameTags(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((tag, i) => Buffer.compare(tag, b[i]!) === 0);
}

function sameOpenness(a: Openness, b: Openness): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return a === b;
}
