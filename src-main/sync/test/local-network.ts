import { createEmitter, type Emitter } from '../../../src-shared/emitter.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { Drive } from '../../drive/index.ts';
import type { BlockSource, Exchange, ExchangeEvents } from '../../exchange/index.ts';

/** Members of one drive in one process: entries and blocks go straight from one to the other, unless cut off. */
export interface LocalNetwork {
  /** The exchange of one member; call `attach` once its sync engine exists. */
  join(
    name: string,
    drive: Drive,
    who: { readonly deviceId: string; readonly userId: string },
  ): { exchange: Exchange; attach(source: BlockSource): void };
  /** Cuts a member off or lets it in again. */
  setOnline(name: string, online: boolean): Promise<void>;
  /** Brings every online member all entries of the others. */
  gossip(): Promise<void>;
  /** Called for each block on its way; may throw, delay or change it. */
  onBlock: (block: Uint8Array) => Promise<Uint8Array>;
  /** Called after each early announcement; awaited before the next. */
  onEarly: () => Promise<void>;
  readonly counts: { blocks: number; bytes: number };
  settled(name: string): boolean;
  /** Ends all traffic; resolves when none is under way. */
  stop(): Promise<void>;
}

interface Member {
  readonly who: { readonly deviceId: string; readonly userId: string };
  readonly drive: Drive;
  readonly events: Emitter<ExchangeEvents>;
  source: BlockSource | null;
  online: boolean;
  settled: boolean;
  whole: boolean;
}

function headsOf(drive: Drive): string {
  return drive
    .heads()
    .map((hash) => Buffer.from(hash).toString('hex'))
    .sort()
    .join();
}

export function createLocalNetwork(): LocalNetwork {
  const members = new Map<string, Member>();
  /** Blocks announced early, by hex id; kept like the exchange keeps them for those who were told. */
  const announced = new Map<string, { from: string; ciphertext: Uint8Array }>();
  let spreading: Promise<void> = Promise.resolve();
  let stopped = false;

  const network: LocalNetwork = {
    counts: { blocks: 0, bytes: 0 },
    onBlock: async (block) => block,
    onEarly: async () => {},
    settled: (name) => members.get(name)?.settled ?? false,
    join(name, drive, who) {
      const events = createEmitter<ExchangeEvents>();
      const me: Member = { who, drive, events, source: null, online: true, settled: false, whole: false };
      members.set(name, me);
      drive.on('entries', () => void network.gossip());
      const others = (): Member[] =>
        [...members.values()].filter((one) => one !== me && one.online && me.online);
      const exchange: Exchange = {
        on: events.on,
        async start() {},
        async stop() {},
        addDrive() {},
        async removeDrive() {},
        async fetchHistory() {
          throw new AppError('unreachable', 'There is no such member.');
        },
        async fetch(_drive, requests, signal) {
          const missing: Uint8Array[] = [];
          for (const { ref, accept } of requests) {
            signal.throwIfAborted();
            let found = false;
            for (const other of others()) {
              const early = announced.get(Buffer.from(ref.id).toString('hex'));
              const [block] =
                early && members.get(early.from) === other
                  ? [early.ciphertext.slice()]
                  : ((await other.source?.read([ref.id])) ?? []);
              if (!block) continue;
              network.counts.blocks += 1;
              network.counts.bytes += block.length;
              await accept(await network.onBlock(block));
              found = true;
              break;
            }
            if (!found) missing.push(ref.id);
          }
          if (missing.length > 0) throw new AppError('gone', 'Nobody has it.', { details: { ids: missing } });
        },
        async announceEarly(driveId, token, node, blocks) {
          const early = {
            from: name,
            token,
            node,
            blocks: blocks.map(({ ref, offset }) => ({ ref, offset })),
          };
          for (const { ref, ciphertext } of blocks) {
            announced.set(Buffer.from(ref.id).toString('hex'), { from: name, ciphertext });
          }
          for (const other of others()) other.events.emit('early', { driveId, early });
          await network.onEarly();
        },
        // Its members read from each other's folders at once.
        wantsSealed: () => false,
        keepSealed() {},
        async sealedRoom() {},
        setSettled(_drive, settled, whole) {
          me.settled = settled;
          me.whole = settled && whole;
          for (const other of others()) other.events.emit('members', { driveId: drive.id });
        },
        async holders(_drive, items) {
          const found = items.map((): string[] => []);
          for (const other of others()) {
            const held = (await other.source?.holds?.(items)) ?? [];
            held.forEach((yes, index) => {
              if (yes) found[index]?.push(other.who.deviceId);
            });
          }
          return found;
        },
        setHosts() {},
        sourcesChanged() {},
        setRebuilder() {},
        hosts: () => [],
        members: () =>
          others().map((other) => ({
            peerId: other.who.deviceId,
            userId: other.who.userId,
            sameHistory: headsOf(other.drive) === headsOf(drive),
            settled: other.settled,
            refused: false,
            whole: other.whole,
          })),
      };
      return { exchange, attach: (source) => void (me.source = source) };
    },
    async setOnline(name, online) {
      const member = members.get(name);
      if (member) member.online = online;
      await network.gossip();
      for (const one of members.values()) one.events.emit('members', { driveId: one.drive.id });
    },
    async stop() {
      stopped = true;
      await spreading;
    },
    gossip() {
      spreading = spreading.then(async () => {
        for (const from of members.values()) {
          for (const to of members.values()) {
            if (stopped) return;
            if (from === to || !from.online || !to.online) continue;
            const entries = [...from.drive.missingFor(to.drive.frontier())].map((entry) => entry.bytes);
            if (entries.length > 0) await to.drive.ingest(entries);
          }
        }
      });
      return spreading;
    },
  };
  return network;
}
