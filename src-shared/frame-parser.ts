import { AppError } from './errors.ts';
import type { SharedMemory } from './shared-memory.ts';

/** Cuts a byte stream into frames, each preceded by its length as an unsigned varint (LEB128, at most 5 bytes). */
export interface FrameParser {
  /** Hands in bytes as they came; they are not copied until a frame spans several of them. */
  push(chunk: Uint8Array): void;
  /**
   * The next whole frame, or null when more bytes are needed. A frame inside one chunk is a view of it.
   * @throws AppError `too_large` (the length exceeds the limit; nothing was buffered for it), `protocol_violation`
   */
  next(): Uint8Array | null;
  /** Bytes handed in and not yet looked at. */
  buffered(): number;
  /** True in the middle of a frame or of its length. */
  partial(): boolean;
}

/** Smaller frames are not worth counting. Bytes. */
const smallestShared = 64 * 1024;

/**
 * @param maxFrame largest frame accepted, bytes
 * @param memory where large frames lie, until they are released; default: fresh memory
 */
export function createFrameParser(maxFrame: number, memory?: Pick<SharedMemory, 'take'>): FrameParser {
  let chunks: Uint8Array[] = [];
  let head = 0;
  let offset = 0;
  let buffered = 0;
  // The length being read ...
  let length = 0;
  let lengthBytes = 0;
  // ... and the frame being filled once it is known.
  let known = false;
  let target: Uint8Array | null = null;
  let filled = 0;

  function consume(bytes: number): void {
    offset += bytes;
    buffered -= bytes;
    const chunk = chunks[head];
    if (chunk && offset === chunk.length) {
      head += 1;
      offset = 0;
      if (head === chunks.length || head > 64) {
        chunks = chunks.slice(head);
        head = 0;
      }
    }
  }

  function readLength(): boolean {
    while (buffered > 0) {
      const byte = chunks[head]![offset]!;
      consume(1);
      lengthBytes += 1;
      // Multiplied, not shifted: the fifth byte would overflow 32 bits.
      length += (byte & 0x7f) * 2 ** (7 * (lengthBytes - 1));
      if (byte < 0x80) {
        if (byte === 0 && lengthBytes > 1) {
          throw new AppError('protocol_violation', 'A frame length is not encoded in its shortest form.');
        }
        if (length > maxFrame) throw tooLarge(length, maxFrame);
        return true;
      }
      if (lengthBytes === 5) throw new AppError('protocol_violation', 'A frame length has too many bytes.');
    }
    return false;
  }

  function finish(frame: Uint8Array): Uint8Array {
    length = 0;
    lengthBytes = 0;
    known = false;
    target = null;
    filled = 0;
    return frame;
  }

  return {
    push(chunk) {
      if (chunk.length === 0) return;
      chunks.push(chunk);
      buffered += chunk.length;
    },
    next() {
      if (!known) {
        if (!readLength()) return null;
        known = true;
      }
      if (length === 0) return finish(new Uint8Array(0));
      if (!target) {
        const chunk = chunks[head];
        if (!chunk) return null;
        if (chunk.length - offset >= length) {
          const frame = chunk.subarray(offset, offset + length);
          consume(length);
          return finish(frame);
        }
        // A large untouched allocation costs no memory until bytes really come.
        target = memory && length >= smallestShared ? memory.take(length) : new Uint8Array(length);
      }
      while (buffered > 0 && filled < length) {
        const chunk = chunks[head]!;
        const n = Math.min(chunk.length - offset, length - filled);
        target.set(chunk.subarray(offset, offset + n), filled);
        filled += n;
        consume(n);
      }
      return filled === length ? finish(target) : null;
    },
    buffered: () => buffered,
    partial: () => known || lengthBytes > 0 || buffered > 0,
  };
}

/** The length of a frame as it precedes it on the wire. */
export function encodeFrameLength(length: number): Uint8Array {
  const bytes: number[] = [];
  let rest = length;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

export function tooLarge(length: number, limit: number): AppError {
  return new AppError('too_large', `A frame of ${length} bytes exceeds the limit of ${limit}.`, {
    details: { length, limit },
  });
}
