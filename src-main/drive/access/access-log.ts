import type { Entry } from '../../history/index.ts';
import { tryUnwrap } from '../../identity/index.ts';
import { isAppError } from '../../../src-shared/errors.ts';
import { byteKey, hex, sameBytes, sha256, zero32 } from '../codec/bytes.ts';
import { openBytes } from '../codec/body.ts';
import type { BodyBinding } from '../codec/body.ts';
import { keyCheckOf, openPreviousKey } from '../keys.ts';
import type { EpochId } from '../types.ts';
import { certHashOf, decodeAccessBody, decodeSealedPart } from './codec.ts';
import type { ReadablePart, SealedPart } from './codec.ts';
import { AccessGraph } from './evaluate.ts';
import type { AccessEvent } from './evaluate.ts';
import { createKeyring } from './keyring.ts';
import type { Keyring } from './keyring.ts';
import { openWriterCertificate } from './writer-certificate.ts';
import type { WriterIdentity } from './writer-certificate.ts';

/** An access entry whose sealed part could be opened. */
export interface OpenedAccess {
  readonly entry: Entry;
  readonly readable: ReadablePart;
  readonly sealed: SealedPart;
  readonly author: WriterIdentity;
}

/** What the sealed part of an access entry is bound to. */
export function accessBinding(
  drive: Uint8Array | null,
  writer: Uint8Array,
  keyEpoch: Uint8Array,
  readableBytes: Uint8Array,
): BodyBinding {
  return { drive: drive ?? zero32, writer, keyEpoch, opsRoot: sha256(readableBytes) };
}

export interface AccessLog {
  readonly graph: AccessGraph;
  readonly keyring: Keyring;
  /** Tries boxes again that did not open: this actor has come by another key. True when anything opened. */
  retry(): boolean;
  /** Adds entries in any order; returns true when rights or keys may differ now. */
  add(entries: readonly Entry[]): boolean;
  opened(id: string): OpenedAccess | null;
  /** Entries that can't be read yet. */
  locked(): number;
  /** Epochs whose keys a holder of `epoch`'s key can open. */
  previousOf(epoch: EpochId): readonly EpochId[];
}

/** Read keys tried on each box: a drive that was published anew more often than that is read with the newest. */
const publishedKept = 8;

interface Pending {
  readonly entry: Entry;
  readonly id: string;
  readonly readable: ReadablePart | null;
  readonly readableBytes: Uint8Array;
  readonly sealed: Uint8Array;
  triedBoxes: boolean;
}

/**
 * The access chain as far as it can be read here: opens boxes, follows the chain of keys, opens sealed parts and feeds the
 * graph. What can't be read yet waits.
 * @param drive hash of the genesis entry
 * @param unwrap opens an ECIES box made for this actor, or returns null
 */
export function createAccessLog(
  drive: Uint8Array,
  unwrap: (box: Uint8Array) => Uint8Array | null,
): AccessLog {
  const graph = new AccessGraph();
  const keyring = createKeyring();
  const all = new Map<string, Pending>();
  const waiting = new Map<string, Pending>();
  const opened = new Map<string, OpenedAccess>();
  /** Published read keys, newest last: with them anybody opens the boxes made for readers. */
  let published: Uint8Array[] = [];

  function parse(entry: Entry): Pending {
    const id = hex(entry.hash);
    try {
      const { readable, readableBytes, sealed } = decodeAccessBody(entry.body);
      const founds = readable.kind === 'genesis';
      if (founds !== sameBytes(entry.hash, drive)) return voided(entry, id);
      if (readable.readSecret) published = [...published, readable.readSecret].slice(-publishedKept);
      return { entry, id, readable, readableBytes, sealed, triedBoxes: false };
    } catch (error) {
      if (!isAppError(error)) throw error;
      return voided(entry, id);
    }
  }

  /** Malformed for ever: stands in the graph, since others may link to it, and changes nothing. */
  function voided(entry: Entry, id: string): Pending {
    return { entry, id, readable: null, readableBytes: zero32, sealed: zero32, triedBoxes: true };
  }

  function learn(epoch: EpochId, key: Uint8Array): boolean {
    const check = all.get(epoch)?.readable?.check;
    if (!check || key.length !== 32 || !sameBytes(keyCheckOf(key), check)) return false;
    if (!keyring.add(epoch, key)) return false;
    const previous = all.get(epoch)?.readable?.previous ?? [];
    for (const { epoch: older, sealed } of previous) {
      const olderKey = openPreviousKey(key, older, sealed);
      if (olderKey) learn(older, olderKey);
    }
    return true;
  }

  function unwrapAny(box: Uint8Array): Uint8Array | null {
    const content = unwrap(box);
    if (content) return content;
    for (const secret of published) {
      const read = tryUnwrap(secret, box);
      if (read) return read;
    }
    return null;
  }

  function tryBoxes(pending: Pending): boolean {
    const { readable, id } = pending;
    if (!readable || pending.triedBoxes) return false;
    const epochs = readable.epochs.map((epoch) => (epoch === 'self' ? id : epoch));
    if (epochs.every((epoch) => keyring.key(epoch) !== null)) return false;
    // A box may hold keys of epochs whose entries are still missing: try again when they are here.
    if (epochs.some((epoch) => !all.has(epoch))) return false;
    pending.triedBoxes = true;
    for (const box of readable.wraps) {
      const content = unwrapAny(box);
      if (content?.length !== 32 * epochs.length) continue;
      let learnt = false;
      epochs.forEach((epoch, i) => {
        if (learn(epoch, content.slice(32 * i, 32 * i + 32))) learnt = true;
      });
      return learnt;
    }
    return false;
  }

  function open(pending: Pending): AccessEvent | null {
    const { entry, id, readable } = pending;
    const links = entry.header.access.map(hex);
    if (links.some((link) => !graph.has(link))) return null;
    const nothing: AccessEvent = {
      id,
      links,
      kind: 'keys',
      author: '',
      authorDevice: '',
      user: '',
      role: null,
      encKey: null,
      device: null,
      frontier: [],
      time: entry.header.time,
      extra: null,
    };
    if (!readable) return nothing;
    if (links.length > 0) {
      const state = graph.at(links);
      if (state) keyring.merge(state.epochs);
    }
    const founds = readable.kind === 'genesis';
    const epoch = founds ? id : hex(entry.header.keyEpoch);
    if (keyring.key(epoch) === null) return null;
    const binding = accessBinding(
      entry.header.drive,
      entry.header.writer,
      entry.header.keyEpoch,
      pending.readableBytes,
    );
    const plain = openBytes(keyring.bodyKey(epoch), pending.sealed, binding);
    if (!plain) return nothing;
    try {
      const sealed = decodeSealedPart(plain);
      if (!sameBytes(certHashOf(sealed.certSalt, sealed.cert), readable.certHash)) return nothing;
      const author = openWriterCertificate(sealed.cert, founds ? zero32 : drive, entry.header.writer);
      opened.set(id, { entry, readable, sealed, author });
      return {
        id,
        links,
        kind: readable.kind,
        author: author.user,
        authorDevice: hex(author.deviceKey),
        user: sealed.user,
        role: sealed.role,
        encKey: sealed.encKey,
        device: sealed.device && hex(sealed.device),
        frontier: readable.frontier,
        time: entry.header.time,
        extra: sealed.extra,
      };
    } catch (error) {
      if (!isAppError(error)) throw error;
      return nothing;
    }
  }

  /** Goes on until nothing more opens. */
  function settle(): boolean {
    let changed = false;
    for (let progress = true; progress;) {
      progress = false;
      // Newest first: its key opens the older ones without trying their boxes.
      for (const pending of [...all.values()].reverse()) {
        if (!pending.triedBoxes && tryBoxes(pending)) progress = true;
      }
      for (const [id, pending] of waiting) {
        const event = open(pending);
        if (!event) continue;
        graph.add(event);
        waiting.delete(id);
        progress = true;
      }
      changed ||= progress;
    }
    return changed;
  }

  return {
    graph,
    keyring,
    retry() {
      for (const pending of all.values()) pending.triedBoxes = pending.readable === null;
      return settle();
    },
    add(entries) {
      const fresh = entries.filter((entry) => !all.has(hex(entry.hash)));
      if (fresh.length === 0) return false;
      fresh.sort((a, b) => a.header.lamport - b.header.lamport || Buffer.compare(a.hash, b.hash));
      const before = published;
      for (const entry of fresh) {
        const pending = parse(entry);
        all.set(pending.id, pending);
        waiting.set(pending.id, pending);
      }
      // A key just published may open boxes that were tried in vain.
      if (published !== before)
        for (const pending of all.values()) pending.triedBoxes = pending.readable === null;
      return settle();
    },
    opened: (id) => opened.get(id) ?? null,
    locked: () => waiting.size,
    previousOf: (epoch) => all.get(epoch)?.readable?.previous.map((item) => item.epoch) ?? [],
  };
}

/** Key of a feed in maps. */
export function feedKey(writer: Uint8Array, incarnation: number): string {
  return `${byteKey(writer)}${incarnation}`;
}
