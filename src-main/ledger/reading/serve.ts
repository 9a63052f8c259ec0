import { setImmediate as breathe } from 'node:timers/promises';
import { isAppError } from '../../../src-shared/errors.ts';
import type { FrameStream } from '../../network/index.ts';
import type { Chain } from '../chain/types.ts';
import { encodeBlock } from '../codec/index.ts';
import type { LedgerReader } from '../execute/application.ts';
import { encodeLedgerProof, groundOf, proveTx } from '../execute/proofs.ts';
import { accountOf } from '../modules/account.ts';
import type { RowProof } from '../state/proof.ts';
import { bytesKey, keyBytes } from '../state/table.ts';
import type { Key, Table } from '../state/table.ts';
import type { Hash } from '../types.ts';
import { decodeReadRequest, encodeReadAnswer, maxScanned, rowsAnswerBytes } from './wire.ts';
import type { ReadAnswer, ReadRequest } from './wire.ts';

type Answer<T extends ReadAnswer['type']> = Extract<ReadAnswer, { readonly type: T }>;

/** Rows proven in one slice of the event loop. */
const slice = 128;
/** How often an answer is begun anew because a block came in between. */
const attempts = 5;

/** Answers questions of light nodes, one a stream. */
export function createReadServer(
  ledger: LedgerReader,
  chain: Pick<Chain, 'waiting' | 'nextNonce'>,
): (stream: FrameStream) => Promise<void> {
  return async (stream) => {
    const frame = await stream.read();
    if (frame === null) return;
    await stream.send(encodeReadAnswer(await answer(decodeReadRequest(frame), ledger, chain)));
  };
}

async function answer(
  request: ReadRequest,
  ledger: LedgerReader,
  chain: Pick<Chain, 'waiting' | 'nextNonce'>,
): Promise<ReadAnswer> {
  switch (request.type) {
    case 'rows':
      return rowsOf(ledger, request.keys.map(bytesKey), request.prefixes.map(bytesKey));
    case 'tx': {
      const message = ledger.findTx(request.hash)?.result.message ?? '';
      return {
        type: 'tx',
        proof: provenTx(ledger, request.hash),
        waiting: await chain.waiting(request.hash),
        message: message.slice(0, 500),
      };
    }
    case 'account': {
      const txs: { place: { height: number; index: number }; proof: Uint8Array; message: string }[] = [];
      for (const place of ledger.accountTxs(request.address, request.before, request.limit)) {
        const result = ledger.results(place.height)?.[place.index];
        const proof = result && provenTx(ledger, result.hash);
        if (proof) txs.push({ place, proof, message: result.message.slice(0, 500) });
        await breathe();
      }
      return { type: 'account', txs };
    }
    case 'nonce': {
      const { nonce } = accountOf(ledger.state, request.address);
      return { type: 'nonce', nonce: await chain.nextNonce(request.address, nonce) };
    }
    case 'block': {
      const found = ledger.blockAt(request.height);
      const results = (found && ledger.results(request.height)) ?? [];
      return {
        type: 'block',
        block: found && encodeBlock(found.block),
        results: results.map(({ hash, ok, code, fee }) => ({ hash, ok, code, fee })),
      };
    }
  }
}

function provenTx(ledger: LedgerReader, hash: Hash): Uint8Array | null {
  try {
    return encodeLedgerProof(proveTx(ledger, hash));
  } catch (error) {
    if (isAppError(error, 'not_found')) return null;
    throw error;
  }
}

/** Rows of one state: when a block comes in between it is begun anew. */
async function rowsOf(
  ledger: LedgerReader,
  keys: readonly Key[],
  prefixes: readonly Key[],
): Promise<Answer<'rows'>> {
  for (let attempt = 1; attempt <= attempts && ledger.last().height > 0; attempt++) {
    const { height } = ledger.last();
    const scans: { readonly keys: readonly Key[]; more: boolean }[] = [];
    let room = maxScanned;
    for (const prefix of prefixes) {
      const found: Key[] = [];
      for (const key of keysFrom(ledger, prefix)) {
        found.push(key);
        if (found.length > room) break;
      }
      scans.push({ keys: found.slice(0, room), more: found.length > room });
      room -= Math.min(room, found.length);
    }
    const all = [keys, ...scans.map((scan) => scan.keys)].flat();
    const rows = await proven(ledger, all, height, attempt === attempts ? all.length : slice);
    if (rows === null) continue;
    let at = keys.length;
    return {
      type: 'rows',
      block: groundOf(ledger, height),
      rows: rows.slice(0, keys.length),
      scans: scans.map(({ keys: { length }, more }) => {
        // What found no room is left out.
        const some = rows.slice(at, at + length);
        at += length;
        return { rows: some, more: more || some.length < length };
      }),
    };
  }
  return { type: 'rows', block: null, rows: [], scans: [] };
}

/** Proofs of rows, cut off where they become too many bytes; null when the state is of another height by now. */
async function proven(
  ledger: LedgerReader,
  keys: readonly Key[],
  height: number,
  atOnce: number,
): Promise<RowProof[] | null> {
  const rows: RowProof[] = [];
  let bytes = 0;
  for (let at = 0; at < keys.length; at += atOnce) {
    if (at > 0) await breathe();
    const part = await ledger.proveRows(keys.slice(at, at + atOnce).map(keyBytes));
    if (part.height !== height) return null;
    for (const row of part.rows) {
      bytes += row.key.length + (row.value?.length ?? 0) + row.siblings.length * 34 + 100;
      if (bytes > rowsAnswerBytes) return rows;
      rows.push(row);
    }
  }
  return ledger.last().height === height ? rows : null;
}

/** Whole keys that begin so. */
function* keysFrom(ledger: LedgerReader, prefix: Key): Generator<Key> {
  const tag = prefix.slice(0, 1);
  // The rows themselves come with their proofs, as they are: nobody decodes them here.
  const raw: Table<null> = {
    tag,
    name: 'rows',
    encode: () => new Uint8Array(),
    fits: () => true,
    decode: () => null,
  };
  if (tag === '') return;
  for (const [key] of ledger.state.rows(raw, prefix.slice(1))) yield tag + key;
}
