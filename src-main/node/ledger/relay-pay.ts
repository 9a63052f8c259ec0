import { deviceKeyOf } from '../../identity/index.ts';
import { fundsOfStream, fundView, maxReceipts, message, periodOf, relayClaim } from '../../ledger/index.ts';
import type { FundView } from '../../ledger/index.ts';
import { migrate } from '../../store/index.ts';
import type { Online } from '../core.ts';
import type { StreamRecords } from '../stream/stream-records.ts';
import type { OpenChain } from './chains.ts';
import type { Chore } from './ledger-chores.ts';
import { fromHex, hex } from './shown.ts';

/** Receipts that viewers signed for this device, shown to the funds of their streams. */
export interface RelayPay {
  chore(open: OpenChain, me: Uint8Array): Promise<Chore>;
  /** Funds that receipts were shown to. */
  funds(chainId: string): readonly number[];
}

/** A fund is shown receipts so often at the most: each time costs a fee. ms */
const everyMs = 600_000;
/** How often funds are looked through. ms */
const lookMs = 5000;
/** Receipts of a stream looked at in one turn. */
const looked = 1024;
/** Streams whose funds are looked at in one turn, those that came last. */
const lookedStreams = 64;

export function createRelayPay(node: Online, receipts: () => StreamRecords | null): RelayPay {
  const { db, clock, identity, network } = node;
  migrate(db, 'relay pay', [
    `CREATE TABLE relay_receipts (chain TEXT NOT NULL, fund INTEGER NOT NULL, device TEXT NOT NULL, bytes INTEGER NOT NULL,
      PRIMARY KEY (chain, fund, device)) STRICT, WITHOUT ROWID`,
  ]);
  const shown = db.prepare<[string, number], { device: string; bytes: number }>(
    'SELECT device, bytes FROM relay_receipts WHERE chain = ? AND fund = ?',
  );
  const note = db.prepare(
    'INSERT OR REPLACE INTO relay_receipts (chain, fund, device, bytes) VALUES (?, ?, ?, ?)',
  );
  const forget = db.prepare('DELETE FROM relay_receipts WHERE chain = ? AND fund = ?');
  const shownTo = db.prepare<[string], { fund: number }>(
    'SELECT DISTINCT fund FROM relay_receipts WHERE chain = ?',
  );
  const fundsShown = (chainId: string): number[] => shownTo.all(chainId).map(({ fund }) => fund);
  const triedAt = new Map<string, number>();
  let lookedAt = Number.NEGATIVE_INFINITY;

  function redeem(open: OpenChain, me: Uint8Array, { number, stream }: FundView): Chore {
    const { chainId } = open.record;
    const known = new Map(shown.all(chainId, number).map(({ device, bytes }) => [device, bytes]));
    const fresh = (receipts()?.receiptsOf(hex(stream), looked) ?? [])
      .filter(({ device, bytes }) => bytes > (known.get(device) ?? 0))
      .slice(0, maxReceipts);
    if (fresh.length === 0) return null;
    triedAt.set(`${chainId} ${number}`, clock.now());
    const device = deviceKeyOf(network.peerId);
    const sig = identity.deviceSigner.sign(relayClaim(chainId, device, me));
    const signed = fresh.map((one) => new Uint8Array(one.signed));
    return {
      made: [message('relay.redeem', { fund: number, device, sig, receipts: signed })],
      sent() {
        for (const one of fresh) note.run(chainId, number, one.device, one.bytes);
      },
    };
  }

  return {
    funds: fundsShown,
    async chore(open, me) {
      if (clock.now() - lookedAt < lookMs) return null;
      lookedAt = clock.now();
      const { chainId } = open.record;
      const streams = receipts()?.streamsRelayed(lookedStreams) ?? [];
      // Most computers relay nothing: they look at nobody's funds.
      if (streams.length === 0) return null;
      const known = fundsShown(chainId);
      const { funds, closed, period } = await open.reader.read(
        ({ state, time }) => ({
          funds: streams.flatMap((stream) => fundsOfStream(state, fromHex(stream), me)),
          closed: known.filter((number) => !fundView(state, number, me)),
          period: periodOf(time),
        }),
        'relay funds',
      );
      for (const number of closed) forget.run(chainId, number);
      for (const fund of funds) {
        const isMine = Buffer.compare(fund.payer, me) === 0;
        const waits =
          clock.now() - (triedAt.get(`${chainId} ${fund.number}`) ?? Number.NEGATIVE_INFINITY) < everyMs;
        if (isMine || waits || period >= fund.until || fund.left === 0n) continue;
        const due = redeem(open, me, fund);
        if (due) return due;
      }
      return null;
    },
  };
}
