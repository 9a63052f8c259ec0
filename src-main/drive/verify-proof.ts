import { entryId, verifyHeaderChain } from '../history/index.ts';
import type { EntryHeader, EntryId, HeaderChain } from '../history/index.ts';
import type { UserId } from '../identity/index.ts';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import { byteKey, hex, sameBytes, sha256, zero32 } from './codec/bytes.ts';
import { decodeOp } from './codec/ops.ts';
import type { OpRef, WireOp } from './codec/ops.ts';
import { certHashOf, decodeAccessBody } from './access/codec.ts';
import { openWriterCertificate } from './access/writer-certificate.ts';
import type { WriterIdentity } from './access/writer-certificate.ts';
import { checkOpenedOp, decodeProof } from './proof-codec.ts';
import type { OpenedCert, OpenedOp, ProofParts } from './proof-codec.ts';
import { rootId } from './tree/operations.ts';
import { conflictNode, entryPlace, ordOf, refOf } from './tree/place.ts';
import type { Content, OpId } from './types.ts';

/** What a valid proof shows. */
export interface ProvenVersion {
  readonly drive: EntryId;
  /** Path the named operations give the file. */
  readonly path: string;
  readonly version: OpId;
  /** Hex SHA-256 of the file; of a link: '' and `size` 0. */
  readonly hash: string;
  readonly size: number;
  readonly user: UserId;
  readonly device: string;
  /** ms, the writer's clock. */
  readonly time: number;
  /** What the answer rests on, in words. */
  readonly root: string;
  /** Signed headers from genesis to the entry of the version: what an anchored head has to stand on. */
  readonly chain: readonly Uint8Array[];
}

interface Checked {
  readonly op: WireOp;
  readonly ref: OpRef;
  readonly header: EntryHeader;
  readonly entry: Uint8Array;
}

/**
 * Checks a proof offline: hashes and signatures from the genesis entry to every operation it opens, the certificates of the
 * writers, and that the locations join up to one path. It shows that the version was written at that path by that user's
 * device in that drive; not that the user had the right to (that needs the whole chain: `drive verify`), nor that the
 * version or the path is still the current one.
 * @param expect compared with what the proof shows
 * @throws AppError `malformed`, `too_large`, `proof_invalid`
 */
export function verifyProof(
  bytes: Uint8Array,
  expect: { readonly drive?: EntryId; readonly user?: UserId; readonly path?: string } = {},
): ProvenVersion {
  let proven: ProvenVersion;
  try {
    proven = check(decodeProof(bytes));
  } catch (error) {
    if (
      isAppError(error, 'malformed') ||
      isAppError(error, 'too_large') ||
      isAppError(error, 'proof_invalid')
    ) {
      throw error;
    }
    if (isAppError(error))
      throw new AppError('proof_invalid', `The proof does not hold: ${error.message}`, { cause: error });
    throw error;
  }
  const { drive, user, path } = expect;
  const differs =
    drive !== undefined && drive !== proven.drive
      ? 'another drive'
      : user !== undefined && user !== proven.user
        ? 'another user'
        : path !== undefined && path !== proven.path
          ? 'another path'
          : null;
  if (differs) throw invalid(`it is about ${differs}`);
  return proven;
}

function invalid(why: string): AppError {
  return new AppError('proof_invalid', `The proof does not hold: ${why}.`);
}

function check(parts: ProofParts): ProvenVersion {
  const chains = new Map<string, HeaderChain>();
  const chainOf = (links: readonly Uint8Array[]): HeaderChain => {
    const key = hex(sha256(...links.map((link) => sha256(link))));
    const chain = chains.get(key) ?? verifyHeaderChain(links);
    chains.set(key, chain);
    return chain;
  };
  const genesisChain = chainOf(parts.genesis.chain);
  const drive = genesisChain.drive;
  const founder = genesisChain.headers[0] as EntryHeader;
  if (parts.genesis.chain.length !== 1) throw invalid('it does not begin where the drive was founded');

  const opened = (one: OpenedOp): Checked => {
    const chain = chainOf(one.chain);
    if (!sameBytes(chain.drive, drive)) throw invalid('its parts are of different drives');
    checkOpenedOp(one, chain);
    const header = chain.headers.at(-1) as EntryHeader;
    const ref = refOf(ordOf(entryPlace(header.lamport, chain.hash), one.index));
    return { op: decodeOp(one.op), ref, header, entry: chain.hash };
  };
  const certificate = (
    one: OpenedCert,
    founding: boolean,
  ): { identity: WriterIdentity; header: EntryHeader } => {
    const chain = chainOf(one.chain);
    const header = chain.headers.at(-1) as EntryHeader;
    if (
      !sameBytes(chain.drive, drive) ||
      header.kind !== 'access' ||
      !sameBytes(sha256(one.body), header.bodyHash)
    ) {
      throw invalid('a certificate is not in the entry it is said to be in');
    }
    const { readable } = decodeAccessBody(one.body);
    if (!sameBytes(certHashOf(one.salt, one.cert), readable.certHash))
      throw invalid('a certificate was exchanged');
    return { identity: openWriterCertificate(one.cert, founding ? zero32 : drive, header.writer), header };
  };

  const owner = certificate(parts.genesis, true);
  const content = opened(parts.content);
  const writer = writerOf(parts, content, founder, owner.identity, opened, certificate, drive);
  const { node, value } = contentOf(content, parts, opened);
  const path = pathOf(node, parts, opened);
  const driveId = entryId(drive);
  return {
    drive: driveId,
    path,
    version: `${entryId(content.entry)}/${parts.content.index}`,
    hash: value.kind === 'file' ? hex(value.hash) : '',
    size: value.kind === 'file' ? value.size : 0,
    user: writer.user,
    device: writer.deviceName,
    time: content.header.time,
    root: `drive ${driveId}, founded by ${owner.identity.user}; signatures and links from there checked, rights not replayed`,
    chain: parts.content.chain,
  };
}

function writerOf(
  parts: ProofParts,
  content: Checked,
  founder: EntryHeader,
  owner: WriterIdentity,
  opened: (one: OpenedOp) => Checked,
  certificate: (one: OpenedCert, founding: boolean) => { identity: WriterIdentity; header: EntryHeader },
  drive: Uint8Array,
): WriterIdentity {
  const sameFeed = (header: EntryHeader): boolean =>
    sameBytes(header.writer, content.header.writer) && header.incarnation === content.header.incarnation;
  if (parts.writer === null) {
    if (!sameFeed(founder)) throw invalid('it does not say who wrote the version');
    return owner;
  }
  if (sameFeed(founder)) throw invalid('it names the writer twice');
  let header: EntryHeader;
  let identity: WriterIdentity;
  if ('access' in parts.writer) {
    ({ header, identity } = certificate(parts.writer.access, false));
  } else {
    const first = opened(parts.writer.ops);
    if (first.op.t !== 'cert') throw invalid('the certificate of the writer is missing');
    header = first.header;
    identity = openWriterCertificate(first.op.cert, drive, header.writer);
  }
  if (header.seq !== 0 || !sameFeed(header)) throw invalid('the certificate is of another writer');
  return identity;
}

function contentOf(
  content: Checked,
  parts: ProofParts,
  opened: (one: OpenedOp) => Checked,
): { node: Uint8Array; value: Content } {
  const { op } = content;
  if ((op.t !== 'make' && op.t !== 'put') || op.content === null)
    throw invalid('it shows no version of a file');
  if (parts.adoption === null) return { node: op.node, value: op.content };
  const adoption = opened(parts.adoption).op;
  const adopts =
    adoption.t === 'adopt' &&
    sameBytes(adoption.node, op.node) &&
    adoption.from.some((ref) => sameBytes(ref, content.ref)) &&
    sameBytes(adoption.id, conflictNode(adoption.node, adoption.from[0] as OpRef));
  if (!adopts) throw invalid('the copy is of another version');
  return { node: adoption.id, value: op.content };
}

function pathOf(node: Uint8Array, parts: ProofParts, opened: (one: OpenedOp) => Checked): string {
  const names: string[] = [];
  const seen = new Set<string>();
  let at = node;
  for (const place of parts.places) {
    const { op } = opened(place);
    if (op.t !== 'make' && op.t !== 'move' && op.t !== 'adopt') throw invalid('a location is missing');
    const id = op.t === 'adopt' ? op.id : op.node;
    if (!sameBytes(id, at) || seen.has(byteKey(id))) throw invalid('its folders do not join up');
    if (names.length > 0 && op.t === 'make' && op.kind !== 'dir') throw invalid('its folders do not join up');
    seen.add(byteKey(id));
    names.push(op.name);
    at = op.parent;
  }
  if (names.length === 0 || !sameBytes(at, rootId))
    throw invalid('its path does not reach the top of the drive');
  return names.reverse().join('/');
}
