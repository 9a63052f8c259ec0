import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { maxProofBytes, verifyProof } from '../../drive/index.ts';
import type { ProvenVersion } from '../../drive/index.ts';
import { entryHash, verifyHeaderChain } from '../../history/index.ts';
import type { EntryHeader } from '../../history/index.ts';
import { decodeStrict, encodeStrict, malformed } from '../../identity/index.ts';
import { sameBytes, sha256 } from '../codec/index.ts';
import { decodeLedgerProof, verifyLedgerProof } from '../execute/proofs.ts';
import type { Proven } from '../execute/proofs.ts';

/*
 * A proof of a file version with its anchor: the proof of the version, the headers of its feed up to a head that the ledger knows,
 * and the ledger's proof of that head. Nobody can have written the version later than that block, and no other history of that
 * feed agrees with the head.
 */

const label = 'extrachain anchored version v1';
const what = 'anchored proof';
const maxLinks = 65_536;
const maxBytes = maxProofBytes + 4 * 1024 * 1024;

export interface AnchoredProof {
  /** As `drive.proof` makes it. */
  readonly version: Uint8Array;
  /** Signed headers after the version's entry up to the anchored one. */
  readonly links: readonly Uint8Array[];
  /** An encoded ledger proof of the head: of its batch, or of the newest head of its feed. */
  readonly anchor: Uint8Array;
}

export const encodeAnchoredProof = ({ version, links, anchor }: AnchoredProof): Uint8Array =>
  encodeStrict([label, version, links, anchor]);

/** Null: it is something else, perhaps a proof without an anchor. @throws AppError `malformed`, `too_large` */
export function decodeAnchoredProof(bytes: Uint8Array): AnchoredProof | null {
  let value: unknown;
  try {
    value = decodeStrict(bytes, maxBytes, what);
  } catch (error) {
    if (isAppError(error, 'malformed')) return null;
    throw error;
  }
  if (!Array.isArray(value) || value[0] !== label) return null;
  const [, version, links, anchor] = value as readonly unknown[];
  const fits =
    value.length === 4 &&
    version instanceof Uint8Array &&
    anchor instanceof Uint8Array &&
    Array.isArray(links) &&
    links.length <= maxLinks &&
    links.every((link) => link instanceof Uint8Array);
  if (!fits) throw malformed(what, 'it has other parts');
  return { version, links: links as Uint8Array[], anchor };
}

type Head = Extract<Proven, { readonly type: 'head' | 'feed' }>;

/** What an anchored proof shows. */
export interface AnchoredVersion {
  readonly version: ProvenVersion;
  readonly head: Head;
  /** Headers of the version's feed that the proof shows, with the hashes of their entries. */
  readonly feed: readonly FeedEntry[];
}

export interface FeedEntry {
  readonly header: EntryHeader;
  readonly hash: Uint8Array;
}

const invalid = (why: string): AppError => new AppError('proof_invalid', `The proof does not hold: ${why}.`);

/**
 * Checks an anchored proof with nothing but itself.
 * @param expect as for `verifyProof`
 * @throws AppError `proof_invalid`, `malformed`, `too_large`; `fork` when the ledger knows that this writer signed two histories
 */
export function verifyAnchoredProof(
  proof: AnchoredProof,
  expect: Parameters<typeof verifyProof>[1] = {},
): AnchoredVersion {
  const version = verifyProof(proof.version, expect);
  const head = verifyLedgerProof(decodeLedgerProof(proof.anchor));
  if (head.type !== 'head' && head.type !== 'feed') throw invalid('its anchor is of something else');
  const feed = feedOf([...version.chain, ...proof.links], proof.links.length + 1);
  const top = feed.at(-1) as FeedEntry;
  const { writer, incarnation, seq } = head.type === 'head' ? head.head : head;
  const entry = head.type === 'head' ? head.head.entry : head.head;
  const fits =
    sameBytes(top.header.writer, writer) &&
    top.header.incarnation === incarnation &&
    top.header.seq === seq &&
    sameBytes(top.hash, entry) &&
    (head.type === 'feed' || sameBytes(head.head.drive, entryHash(version.drive)));
  if (!fits) throw invalid('its anchor is of another history');
  if (head.type === 'feed' && head.forked) {
    throw new AppError(
      'fork',
      'The ledger knows two histories of this writer: nothing of them can be trusted.',
    );
  }
  return { version, head, feed };
}

/**
 * The entries of the last entry's feed in a chain of headers, oldest first.
 * @param straight so many at the end must be one feed without gaps
 */
export function feedOf(links: readonly Uint8Array[], straight = 1): readonly FeedEntry[] {
  let chain;
  try {
    chain = verifyHeaderChain(links);
  } catch (error) {
    if (isAppError(error)) throw invalid(error.message);
    throw error;
  }
  const { headers } = chain;
  const hashes = headers.map((_, i) => hashOfLink(links[i] as Uint8Array));
  const last = headers.at(-1) as EntryHeader;
  const same = (one: EntryHeader): boolean =>
    sameBytes(one.writer, last.writer) && one.incarnation === last.incarnation;
  for (let i = headers.length - straight + 1; i < headers.length; i++) {
    const header = headers[i] as EntryHeader;
    const before = headers[i - 1] as EntryHeader;
    if (!same(header) || !same(before) || header.seq !== before.seq + 1) {
      throw invalid('the headers up to its anchor are not of one feed');
    }
  }
  return headers.flatMap((header, i) => (same(header) ? [{ header, hash: hashes[i] as Uint8Array }] : []));
}

/** The hash of an entry is that of its header. */
function hashOfLink(link: Uint8Array): Uint8Array {
  const [header] = decodeStrict(link, 1024 * 1024, 'header') as [Uint8Array];
  return sha256(header);
}

/**
 * Compares two histories of one feed. They are one history when the older of their newest entries is in both: whatever else
 * they have in common, such as the founding of the drive, says nothing of what was written since.
 * @returns the number of an entry on which they differ; null: they are of one history
 * @throws AppError `proof_invalid` when what they show does not tell
 */
export function differingEntry(a: readonly FeedEntry[], b: readonly FeedEntry[]): number | null {
  const [one, other] = [a.at(-1)?.header, b.at(-1)?.header];
  if (!one || !other || !sameBytes(one.writer, other.writer) || one.incarnation !== other.incarnation) {
    throw invalid('the other proof is of another writer');
  }
  const known = new Map(b.map(({ header, hash }) => [header.seq, hash]));
  const common = a.filter(({ header }) => known.has(header.seq));
  const found = common.find(({ header, hash }) => !sameBytes(known.get(header.seq) as Uint8Array, hash));
  if (found) return found.header.seq;
  const upTo = Math.min(one.seq, other.seq);
  if (!common.some(({ header }) => header.seq === upTo)) {
    throw invalid(
      `the other proof does not show entry ${upTo} of the writer, so the two can not be compared`,
    );
  }
  return null;
}
