import { AppError } from '../../../src-shared/errors.ts';
import type { Logger, RandomBytes } from '../../../src-shared/runtime.ts';
import {
  readAudience,
  readDescription,
  readGenesis,
  readKeyRecord,
  readProgramme,
} from '../codec/records.ts';
import type { AudienceRecord, Description, Genesis, KeyRecord, Programme } from '../codec/records.ts';
import { createStreamKeys } from '../stream-keys.ts';
import type { StreamKeys } from '../stream-keys.ts';
import type { SignedHeader, StreamId } from '../types.ts';
import type { LiveFrame } from './frames.ts';
import { createKeyRecords } from './key-records.ts';

/** Parts that wait for the key of one epoch, and epochs that are waited for. */
const mostWaiting = 300;
const mostWaited = 4;

export interface KnowledgeEvents {
  /** A newer description, or the first one. */
  described(description: Description): void;
  /** The programme can be read, or has changed. */
  programme(programme: Programme): void;
  /** The key of a part has come that was held back. */
  readable(header: SignedHeader): void;
  /** The stream was for this node's user and is no longer. */
  excluded(): void;
}

/** What a node knows of a stream besides its parts: signed records, of which the highest number counts, and keys. */
export interface Knowledge {
  readonly keys: StreamKeys;
  genesis(): Genesis | null;
  description(): Description | null;
  /** Null while it has not come, or may not be read. */
  programme(): Programme | null;
  /** Nothing opens, though who may read has been said. */
  isClosed(): boolean;
  /** All of it, in the order in which another node can take it. */
  records(): readonly LiveFrame[];
  /**
   * Takes what another node tells.
   * @returns whether it was news
   * @throws AppError `malformed`, `bad_signature`, `bad_hash`
   */
  take(frame: LiveFrame): boolean;
  /** These say whether it was news. */
  describe(next: Description): boolean;
  addKey(next: KeyRecord): boolean;
  addAudience(next: AudienceRecord): boolean;
  /** Takes the key of a link. */
  unlock(audienceKey: Uint8Array): void;
  /** Can this part be read? One whose key is under way is held back until `readable`. */
  canRead(header: SignedHeader): boolean;
}

/** @param own the genesis, at the source: others tell it nothing */
export function createKnowledge(
  deps: {
    readonly streamId: StreamId;
    readonly logger: Logger;
    readonly random: RandomBytes;
    readonly tryUnwrap: (box: Uint8Array) => Uint8Array | null;
  },
  own: Genesis | null,
  events: KnowledgeEvents,
): Knowledge {
  const { streamId, logger } = deps;
  const keyRecords = createKeyRecords();
  const keys = createStreamKeys(streamId, deps.random);
  /** Complete parts whose key has not come. */
  const unreadable = new Map<number, SignedHeader[]>();
  let genesis = own;
  let description: Description | null = null;
  let programme: Programme | null = null;
  let audience: AudienceRecord | null = null;

  function openProgramme(): void {
    if (!description || !genesis) return;
    try {
      const plain =
        genesis.audience === 'public'
          ? description.programme
          : keys.audienceKey() && keys.openProgramme(description.number, description.programme);
      if (!plain) return;
      programme = readProgramme(plain);
      events.programme(programme);
    } catch (error) {
      // A link with the wrong key, or a damaged record: what the stream is stays hidden, passing it on goes on.
      logger.debug({ err: error, streamId }, 'the programme of a stream could not be read');
    }
  }

  function showReadable(): void {
    for (const [epoch, headers] of [...unreadable]) {
      unreadable.delete(epoch);
      for (const header of headers) if (canRead(header)) events.readable(header);
    }
  }

  function canRead(header: SignedHeader): boolean {
    if (genesis?.audience === 'public' || header.epoch === 0) return true;
    if (keys.audienceKey() === null) return false;
    // A key that does not open is of an audience that this node was not in.
    if (keyRecords.has(header.epoch)) return keys.opens(header.epoch);
    const held = unreadable.get(header.epoch) ?? [];
    if (held.length < mostWaiting) held.push(header);
    if (unreadable.size < mostWaited || unreadable.has(header.epoch)) unreadable.set(header.epoch, held);
    return false;
  }

  function open(audienceKey: Uint8Array): void {
    keys.setAudienceKey(audienceKey);
    openProgramme();
    showReadable();
  }

  function describe(next: Description): boolean {
    if (description && next.number <= description.number) return false;
    description = next;
    openProgramme();
    events.described(next);
    return true;
  }

  function addKey(next: KeyRecord): boolean {
    if (!keyRecords.add(next)) return false;
    keys.learn(next.epoch, next.sealed);
    showReadable();
    return true;
  }

  function addAudience(next: AudienceRecord): boolean {
    if (audience && next.number <= audience.number) return false;
    audience = next;
    if (own) return true;
    const key = keyFor(next);
    if (key) open(key);
    else if (genesis?.audience === 'private' && keys.audienceKey()) events.excluded();
    return true;
  }

  /** The audience key, when a box is for the user of this node. */
  function keyFor({ boxes }: AudienceRecord): Uint8Array | null {
    for (const box of boxes) {
      const key = deps.tryUnwrap(box);
      if (key?.length === 32) return key;
    }
    return null;
  }

  return {
    keys,
    genesis: () => genesis,
    description: () => description,
    programme: () => programme,
    isClosed: () => audience !== null && keys.audienceKey() === null,
    records() {
      const frames: LiveFrame[] = [];
      if (genesis) frames.push({ t: 'genesis', bytes: genesis.bytes });
      if (audience) frames.push({ t: 'audience', bytes: audience.bytes });
      for (const record of keyRecords.values()) frames.push({ t: 'key', bytes: record.bytes });
      if (description) frames.push({ t: 'description', bytes: description.bytes });
      return frames;
    },
    take(frame) {
      if (frame.t === 'genesis') {
        if (genesis) return false;
        const read = readGenesis(frame.bytes);
        if (read.streamId !== streamId)
          throw new AppError('bad_hash', 'This is the beginning of another stream.');
        genesis = read;
        return true;
      }
      if (!genesis || own) return false;
      switch (frame.t) {
        case 'description':
          return !same(frame.bytes, description?.bytes) && describe(readDescription(frame.bytes, genesis));
        case 'audience':
          return !same(frame.bytes, audience?.bytes) && addAudience(readAudience(frame.bytes, genesis));
        case 'key':
          for (const known of keyRecords.values()) if (same(frame.bytes, known.bytes)) return false;
          return addKey(readKeyRecord(frame.bytes, genesis));
        default:
          return false;
      }
    },
    describe,
    addKey,
    addAudience,
    unlock: open,
    canRead,
  };
}

const same = (a: Uint8Array, b: Uint8Array | undefined): boolean =>
  b !== undefined && Buffer.compare(a, b) === 0;
