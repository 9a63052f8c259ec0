import type { Drive, OpId } from '../../drive/index.ts';
import { isAppError } from '../../../src-shared/errors.ts';
import { entryHash } from '../../history/index.ts';
import type { FeedTip } from '../../history/index.ts';
import { decodeStrict, encodeCard, encodeStrict, hashOfUserId } from '../../identity/index.ts';
import {
  cardView,
  createHeadBatch,
  decodeAnchoredHead,
  encodeAnchoredProof,
  encodeLedgerProof,
  headSignBytes,
  headView,
  message,
  sha256,
  verifyLedgerProof,
} from '../../ledger/index.ts';
import type { AnchoredHead, LedgerProof, SignedHead, WireMessage } from '../../ledger/index.ts';
import { migrate } from '../../store/index.ts';
import type { Online } from '../core.ts';
import type { Drives } from '../drives.ts';
import type { AccountKeys } from './account-keys.ts';
import type { Chains, OpenChain } from './chains.ts';
import type { Wallet } from './wallet.ts';

/** Where a version is anchored. */
export interface Anchor {
  readonly chainId: string;
  readonly height: number;
  /** Of the block, ms since the epoch. */
  readonly time: number;
}

/**
 * Puts the heads of this device's feeds into the ledger, and remembers which heads of anybody's feeds it has seen there: the
 * ledger itself keeps the newest of each feed only.
 */
export interface Anchors {
  /** The earliest block known by which the version existed; null: none. */
  anchorOf(drive: Drive, version: OpId): Anchor | null;
  /** The newest anchor of any feed of a drive. */
  newestOf(drive: Drive): Anchor | null;
  /** Feeds of a drive of which the ledger knows another head than the one here, at the same place: a rewritten history. */
  contradictions(drive: Drive): readonly { readonly writer: Uint8Array; readonly seq: number }[];
  /** A proof of a version with its anchor when the ledger can give one; without it, the proof as it is. */
  withAnchor(drive: Drive, version: OpId, proof: Uint8Array): Promise<Uint8Array>;
  stop(): void;
}

const migrations = [
  `CREATE TABLE anchors (
    writer BLOB NOT NULL, incarnation INTEGER NOT NULL, seq INTEGER NOT NULL, chain TEXT NOT NULL,
    head BLOB NOT NULL, height INTEGER NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (writer, incarnation, seq, chain)
  ) STRICT, WITHOUT ROWID`,
  'CREATE TABLE anchor_batches (root BLOB PRIMARY KEY, content BLOB NOT NULL) STRICT, WITHOUT ROWID',
  'ALTER TABLE anchors ADD COLUMN forked INTEGER NOT NULL DEFAULT 0',
  `CREATE TABLE anchor_leaves (
    writer BLOB NOT NULL, incarnation INTEGER NOT NULL, seq INTEGER NOT NULL, root BLOB NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (writer, incarnation, seq, root)
  ) STRICT, WITHOUT ROWID`,
];
/** Looking at what a block anchored waits so long for the next one, ms. */
const lookDelay = 1000;
const pollMs = 1000;
const idle = Promise.resolve();
/** A head with its writer's signature, and as it stands in the batch. */
interface Due {
  readonly signed: SignedHead;
  readonly anchored: AnchoredHead;
}
const headsPerMessage = 32;
const headsPerLook = 128;
const maxBatchBytes = 64 * 1024;
const messagesPerTx = 16;

interface Parts {
  readonly node: Online;
  readonly drives: Drives;
  readonly chains: Chains;
  readonly wallet: Wallet;
  readonly keys: AccountKeys;
}

export function createAnchors({ node, drives, chains, wallet, keys }: Parts): Anchors {
  const { db, clock, random, identity, settings, events, logger } = node;
  migrate(db, 'anchors', migrations);
  type Row = { head: Buffer; chain: string; height: number; time: number; seq: number; forked: number };
  const insert = db.prepare(
    `INSERT INTO anchors (writer, incarnation, seq, chain, head, height, time, forked) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET forked = excluded.forked`,
  );
  const after = db.prepare<[Uint8Array, number, number], Row>(
    `SELECT * FROM anchors WHERE writer = ? AND incarnation = ? AND seq >= ? ORDER BY seq LIMIT 1`,
  );
  const all = db.prepare<[Uint8Array, number], Row>(
    'SELECT * FROM anchors WHERE writer = ? AND incarnation = ?',
  );
  const keep = db.prepare('INSERT INTO anchor_batches (root, content) VALUES (?, ?)');
  const keepLeaf = db.prepare(
    'INSERT INTO anchor_leaves (writer, incarnation, seq, root, place) VALUES (?, ?, ?, ?, ?)',
  );
  const leaves = db.prepare<[Uint8Array, number, number], { root: Buffer; place: number; content: Buffer }>(
    `SELECT root, place, content FROM anchor_leaves JOIN anchor_batches USING (root)
     WHERE writer = ? AND incarnation = ? AND seq >= ? ORDER BY seq LIMIT 4`,
  );
  const newest = db.prepare<[Uint8Array, number], Row>(
    `SELECT * FROM anchors WHERE writer = ? AND incarnation = ? ORDER BY seq DESC LIMIT 1`,
  );
  let cancelLook: (() => void) | null = null;
  let cancelSend: (() => void) | null = null;
  let stopped = false;
  let triedAt = 0;
  /** When each network was first looked at since the start, ms. */
  const seenSince = new Map<string, number>();

  /** Notes what the ledger knows of the feeds of our drives. */
  async function look(): Promise<void> {
    const open = chains.current();
    if (!open) return;
    for (const { drive } of drives.list()) {
      let found = false;
      const rows = await headsOf(open, drive.frontier());
      for (const { writer, incarnation, row } of rows) {
        const known = newest.get(writer, incarnation);
        const forked = row?.forked ? 1 : 0;
        if (!row || (known?.seq === row.seq && known.forked === forked)) continue;
        const { seq, head, height, time } = row;
        insert.run(writer, incarnation, seq, open.record.chainId, head, height, time, forked);
        found = true;
      }
      if (found) events.emit('drives', { driveId: drive.id });
    }
  }
  /** What the ledger knows of feeds; a light node asks for so many at once. */
  async function headsOf(open: OpenChain, tips: readonly FeedTip[]) {
    const found: { writer: Uint8Array; incarnation: number; row: ReturnType<typeof headView> }[] = [];
    for (let at = 0; at < tips.length; at += headsPerLook) {
      const some = tips.slice(at, at + headsPerLook);
      const rows = await open.reader.read(({ state }) =>
        some.map(({ writer, incarnation }) => headView(state, writer, incarnation)),
      );
      found.push(
        ...some.map(({ writer, incarnation }, i) => ({ writer, incarnation, row: rows[i] ?? null })),
      );
    }
    return found;
  }
  const off = events.on('chain', () => {
    if (stopped) return;
    cancelLook ??= clock.after(lookDelay, () => {
      // A block that comes while this one is looked at is looked at, too: looking twice does no harm.
      cancelLook = null;
      look().catch((error: unknown) =>
        logger.debug({ error: String(error) }, 'anchors could not be looked at'),
      );
    });
  });

  function due(): Due[] {
    return drives.list().flatMap(({ drive }) => {
      const tip = drive.ownTip();
      if (!tip || (newest.get(tip.writer, tip.incarnation)?.seq ?? -1) >= tip.seq) return [];
      const signed = drive.signTip((one) => headSignBytes(headOf(one)));
      if (!signed) return [];
      const { writer, incarnation, seq, hash } = signed.tip;
      return [
        {
          signed: { ...headOf(signed.tip), sig: signed.sig },
          anchored: { drive: entryHash(drive.id), writer, incarnation, seq, entry: hash },
        },
      ];
    });
  }

  function messageOf(heads: readonly Due[]): WireMessage {
    const batch = createHeadBatch(
      heads.map((one) => one.anchored),
      random,
    );
    // Without the salts nothing of the batch could be shown to anybody later.
    db.transaction(() => {
      keep.run(batch.root, encodeStrict([batch.heads, batch.salts]));
      for (const [place, { anchored }] of heads.entries()) {
        keepLeaf.run(anchored.writer, anchored.incarnation, anchored.seq, batch.root, place);
      }
    })();
    return message('anchor.commit', {
      root: batch.root,
      count: batch.count,
      heads: heads.map((one) => one.signed),
    });
  }

  /** The own actor card while the ledger has none or an older one. */
  async function cardDue(open: OpenChain, alone: boolean): Promise<WireMessage | null> {
    // A network that was only just joined is not asked for a fee at once; with heads it goes along.
    const { chainId } = open.record;
    if (!seenSince.has(chainId)) seenSince.set(chainId, clock.now());
    const seconds = settings.get('ledger.anchorSeconds') ?? 0;
    if (alone && clock.now() < seenSince.get(chainId)! + seconds * 1000) return null;
    if (!(await keys.may(open, 'anchor.card'))) return null;
    const card = identity.card();
    const known = await open.reader.read(({ state }) => cardView(state, hashOfUserId(card.user)), 'own card');
    if (known && known.number >= card.number) return null;
    return message('anchor.card', { number: card.number, hash: sha256(encodeCard(card)) });
  }

  async function send(open: OpenChain): Promise<void> {
    const heads = due().slice(0, headsPerMessage * (messagesPerTx - 1));
    const card = await cardDue(open, heads.length === 0);
    if ((heads.length === 0 && !card) || !(await keys.may(open, 'anchor.commit'))) return;
    const messages: WireMessage[] = card ? [card] : [];
    for (let at = 0; at < heads.length; at += headsPerMessage) {
      messages.push(messageOf(heads.slice(at, at + headsPerMessage)));
    }
    const hash = await wallet.send(open, { messages, feeIn: null });
    logger.debug(
      { heads: heads.length, tx: Buffer.from(hash).toString('hex') },
      'heads of drives were anchored',
    );
  }

  function anchorDue(): Promise<void> {
    const seconds = settings.get('ledger.anchorSeconds');
    const open = chains.current();
    // On a network of one that nobody else follows an anchor would prove nothing to anybody.
    if (seconds === null || !open || open.record.provisional) return idle;
    if (clock.now() < triedAt + seconds * 1000) return idle;
    triedAt = clock.now();
    return send(open);
  }

  function schedule(): void {
    // The setting may change at any time, so it is looked at often; that costs nothing.
    cancelSend = clock.after(pollMs, () => {
      anchorDue()
        .catch((error: unknown) => logger.debug({ error: String(error) }, 'heads could not be anchored'))
        .finally(() => {
          if (!stopped) schedule();
        });
    });
  }
  schedule();

  /** The ledger's proof of a head that stands on a version: of its batch, made here, as that is the earliest; else of the feed. */
  async function anchorProof(
    open: OpenChain,
    place: Omit<FeedTip, 'hash'>,
  ): Promise<{ readonly head: Uint8Array; readonly proof: LedgerProof } | null> {
    const { writer, incarnation, seq } = place;
    for (const { root, place: index, content } of leaves.all(writer, incarnation, seq)) {
      const [heads, salts] = decodeBatch(content);
      const batch = { root: new Uint8Array(root), count: heads.length, salts, heads };
      try {
        const sender = hashOfUserId(wallet.user());
        const proof = await open.reader.proveHead(sender, batch, index);
        return { head: decodeAnchoredHead(heads[index] as Uint8Array).entry, proof };
      } catch (error) {
        // Never got into a block, or is of another network or actor.
        if (!isAppError(error, 'not_found')) throw error;
      }
    }
    try {
      const proof = await open.reader.proveFeed(writer, incarnation);
      const found = verifyLedgerProof(proof);
      return found.type === 'feed' && found.seq >= seq ? { head: found.head, proof } : null;
    } catch (error) {
      if (isAppError(error, 'not_found')) return null;
      throw error;
    }
  }

  async function withAnchor(drive: Drive, version: OpId, bytes: Uint8Array): Promise<Uint8Array> {
    const open = chains.current();
    const place = drive.placeOf(version);
    if (!open || !place) return bytes;
    try {
      const found = await anchorProof(open, place);
      if (!found || !drive.has(found.head)) return bytes;
      const links = drive.headersUpTo(version, found.head);
      return encodeAnchoredProof({ version: bytes, links, anchor: encodeLedgerProof(found.proof) });
    } catch (error) {
      // A proof without its anchor is worth less, but it is one.
      if (!isAppError(error)) throw error;
      logger.debug({ error: error.message }, 'a proof goes without its anchor');
      return bytes;
    }
  }

  const anchor = ({ chain, height, time }: Row): Anchor => ({ chainId: chain, height, time });

  return {
    anchorOf(drive, version) {
      const place = drive.placeOf(version);
      const row = place && after.get(place.writer, place.incarnation, place.seq);
      // An anchored head that is not here speaks for another history than this one.
      return row && drive.has(row.head) ? anchor(row) : null;
    },
    newestOf(drive) {
      const rows = drive.frontier().flatMap((tip) => newest.get(tip.writer, tip.incarnation) ?? []);
      const last = rows.sort((a, b) => b.time - a.time)[0];
      return last ? anchor(last) : null;
    },
    contradictions: (drive) =>
      drive.frontier().flatMap(({ writer, incarnation, seq }) =>
        all
          .all(writer, incarnation)
          .filter((row) => row.forked === 1 || (row.seq <= seq && !drive.has(row.head)))
          .map((row) => ({ writer, seq: row.seq })),
      ),
    withAnchor,
    stop() {
      stopped = true;
      off();
      cancelLook?.();
      cancelSend?.();
    },
  };
}

function decodeBatch(content: Uint8Array): [heads: Uint8Array[], salts: Uint8Array[]] {
  return decodeStrict(new Uint8Array(content), maxBatchBytes, 'batch of heads') as [
    Uint8Array[],
    Uint8Array[],
  ];
}

const headOf = ({ writer, incarnation, seq, hash }: FeedTip): Omit<SignedHead, 'sig'> => ({
  ...{ writer, incarnation, seq },
  head: hash,
});
