import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Logger } from '../../../src-shared/runtime.ts';
import type { ChainCheck } from '../chain-check.ts';
import { sha256 } from '../codec/header.ts';
import type { PartEntry, PartWindow } from '../part-window.ts';
import { limits } from '../types.ts';
import type { SignedHeader, StreamId } from '../types.ts';
import type { PartSink } from './link.ts';
import type { Effect, OverlayEvent, Peer } from './overlay-driver.ts';

/** Takes parts of others: nothing is kept, passed on or shown that its source did not sign. */
export interface Intake {
  /** @returns what takes the chunks; null: they are read over. @throws AppError what ends the link as a breach */
  part(peer: Peer, header: Uint8Array): PartSink | null;
  /** Parts refused, and bytes of parts that were here already. */
  rejected(): number;
  duplicateBytes(): number;
}

export interface IntakeDeps {
  readonly streamId: StreamId;
  readonly logger: Logger;
  readonly check: ChainCheck;
  readonly window: PartWindow;
  /** How many renditions the stream has. */
  readonly renditions: () => number;
  readonly step: (event: OverlayEvent, look?: (effect: Effect) => void) => void;
  readonly received: (peer: Peer, bytes: number) => void;
  readonly completed: (entry: PartEntry, peer: Peer) => void;
  /** Negative control of tests: chunks are not compared with what was signed. */
  readonly withoutHashes: boolean;
}

export function createIntake(deps: IntakeDeps): Intake {
  const { streamId, logger, check, window, step } = deps;
  let rejected = 0;
  let duplicateBytes = 0;

  /** @returns null when it is of no use, and nobody who passes it on is to blame */
  function read(peer: Peer, bytes: Uint8Array): SignedHeader | null {
    try {
      const header = check.check(bytes);
      if (header.rendition >= deps.renditions())
        throw new AppError('malformed', 'A part is of no rendition of its stream.');
      return header;
    } catch (error) {
      rejected += 1;
      // Signed by the source: whoever passes it on is not to blame.
      if (isAppError(error, 'fork') || isAppError(error, 'bad_link')) {
        logger.warn({ err: error, streamId }, 'the source of a stream contradicts itself');
        return null;
      }
      logger.warn({ err: error, streamId, peer }, 'a part was refused');
      throw error;
    }
  }

  function sinkOf(peer: Peer, entry: PartEntry, header: SignedHeader): PartSink {
    const { rendition, seq } = header;
    let at = 0;
    return {
      chunks: header.chunks.length,
      chunk(index, chunk) {
        const expected =
          index + 1 < header.chunks.length ? limits.chunkBytes : header.length - index * limits.chunkBytes;
        const good =
          deps.withoutHashes ||
          (chunk.length === expected && Buffer.compare(sha256(chunk), header.chunks[index]!) === 0);
        if (!good) {
          rejected += 1;
          window.fail(entry);
          step({ type: 'partFailed', from: peer, part: { rendition, seq } });
          throw new AppError('bad_hash', 'A piece of a part is not what its source signed.');
        }
        at = index + 1;
        // Another peer may have been faster with this piece.
        if (entry.failed || entry.complete || entry.chunks.length !== index) return;
        window.append(entry, chunk.slice());
        deps.received(peer, chunk.length);
        if (entry.complete) deps.completed(entry, peer);
      },
      cut() {
        if (entry.complete || at >= header.chunks.length) return;
        window.fail(entry);
        step({ type: 'partFailed', from: peer, part: { rendition, seq } });
      },
    };
  }

  return {
    part(peer, bytes) {
      const header = read(peer, bytes);
      if (!header) return null;
      const { rendition, seq } = header;
      const present = window.get(rendition, seq);
      const entry = present ?? window.begin(header);
      if (!entry) {
        duplicateBytes += header.length;
        return null;
      }
      const facts = { rendition, seq, independent: header.independent, bytes: header.length };
      let wanted = true;
      step({ type: 'partBegins', from: peer, part: facts }, (effect) => {
        if (effect.type === 'drop' && effect.part.seq === seq && effect.part.rendition === rendition)
          wanted = false;
      });
      if (wanted && !entry.complete) return sinkOf(peer, entry, header);
      if (present) duplicateBytes += header.length;
      else window.fail(entry);
      return null;
    },
    rejected: () => rejected,
    duplicateBytes: () => duplicateBytes,
  };
}
