import { verifyMerklePath } from '../history/index.ts';
import type { HeaderChain } from '../history/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { byteKey, byteList, decodeCbor, encodeCbor, itemsOf, malformed } from './codec/bytes.ts';

const what = 'proof';
/** Longest proof accepted, bytes. */
export const maxProofBytes = 32 * 1024 * 1024;
const maxLinks = 65_536;

/** One operation of an entry, opened: nothing is said of its neighbours. */
export interface OpenedOp {
  /** Headers from genesis to the entry. */
  readonly chain: readonly Uint8Array[];
  readonly op: Uint8Array;
  readonly salt: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly path: readonly Uint8Array[];
}

/** The writer certificate of an access entry, opened; the rest of its sealed part stays sealed. */
export interface OpenedCert {
  readonly chain: readonly Uint8Array[];
  readonly body: Uint8Array;
  readonly salt: Uint8Array;
  readonly cert: Uint8Array;
}

export interface ProofParts {
  readonly genesis: OpenedCert;
  /** Who stands behind the feed of the version; null when it is the feed that founded the drive. */
  readonly writer: { readonly access: OpenedCert } | { readonly ops: OpenedOp } | null;
  readonly content: OpenedOp;
  /** The adoption that made a conflict copy a file of its own. */
  readonly adoption: OpenedOp | null;
  /** Location of the file, then of each folder above it up to the top. */
  readonly places: readonly OpenedOp[];
}

/** Strict dag-cbor; headers shared by several chains stand there once, numbered in the order of first use. */
export function encodeProof(parts: ProofParts): Uint8Array {
  const links: Uint8Array[] = [];
  const numbers = new Map<string, number>();
  const chain = (list: readonly Uint8Array[]): number[] =>
    list.map((link) => {
      const key = byteKey(link);
      let number = numbers.get(key);
      if (number === undefined) {
        numbers.set(key, (number = links.length));
        links.push(link);
      }
      return number;
    });
  const op = (one: OpenedOp): unknown => [chain(one.chain), one.op, one.salt, one.index, one.size, one.path];
  const cert = (one: OpenedCert): unknown => [chain(one.chain), one.body, one.salt, one.cert];
  const genesis = cert(parts.genesis);
  const { writer } = parts;
  const writerPart =
    writer === null ? null : 'access' in writer ? [0, cert(writer.access)] : [1, op(writer.ops)];
  const content = op(parts.content);
  const adoption = parts.adoption && op(parts.adoption);
  const places = parts.places.map(op);
  return encodeCbor([1, links, genesis, writerPart, content, adoption, places]);
}

/** @throws AppError `too_large`, `malformed` */
export function decodeProof(bytes: Uint8Array): ProofParts {
  const items = itemsOf(decodeCbor(bytes, maxProofBytes, what), 7, what);
  if (items.any(0) !== 1) throw malformed(what, 'its version is unknown');
  const links = items.list(1, maxLinks).map((link) => {
    if (link instanceof Uint8Array) return link;
    throw malformed(what, 'a header is no byte string');
  });
  const chain = (value: unknown): Uint8Array[] => {
    if (!Array.isArray(value) || value.length === 0 || value.length > maxLinks)
      throw malformed(what, 'a chain is empty');
    return value.map((number: unknown) => {
      const link = typeof number === 'number' ? links[number] : undefined;
      if (!link) throw malformed(what, 'a chain names a header that is not there');
      return link;
    });
  };
  const op = (value: unknown): OpenedOp => {
    const one = itemsOf(value, 6, what);
    return {
      chain: chain(one.any(0)),
      op: one.bytes(1),
      salt: one.bytes(2, 32),
      index: one.whole(3),
      size: one.whole(4),
      path: byteList(one.list(5, 32), 32, what),
    };
  };
  const cert = (value: unknown): OpenedCert => {
    const one = itemsOf(value, 4, what);
    return { chain: chain(one.any(0)), body: one.bytes(1), salt: one.bytes(2, 32), cert: one.bytes(3) };
  };
  let writer: ProofParts['writer'] = null;
  if (items.any(3) !== null) {
    const pair = itemsOf(items.any(3), 2, what);
    writer = pair.whole(0, 1) === 0 ? { access: cert(pair.any(1)) } : { ops: op(pair.any(1)) };
  }
  const parts: ProofParts = {
    genesis: cert(items.any(2)),
    writer,
    content: op(items.any(4)),
    adoption: items.any(5) === null ? null : op(items.any(5)),
    places: items.list(6, 4096).map(op),
  };
  // Whatever numbering of the headers came: only one is right.
  if (byteKey(encodeProof(parts)) !== byteKey(bytes))
    throw malformed(what, 'it is not in its one valid encoding');
  return parts;
}

/** Checks an opened operation against the header its chain ends in. */
export function checkOpenedOp(opened: OpenedOp, chain: HeaderChain): void {
  const header = chain.headers.at(-1);
  const { op, salt, index, size, path } = opened;
  if (header?.kind !== 'ops' || !verifyMerklePath(header.opsRoot, { op, salt, index, size, path })) {
    throw new AppError(
      'proof_invalid',
      'An operation in the proof is not part of the entry it is said to be in.',
    );
  }
}
