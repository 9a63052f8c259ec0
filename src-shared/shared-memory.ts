/**
 * Memory that threads hand to each other without copying it: large frames and ciphertexts. Fresh megabytes cost page faults,
 * and transferred ones make the collector of a thread with a large heap run all the time; shared memory does neither, but
 * nobody collects it in time either. So each piece counts the bytes that somebody still needs, and is used again at 0.
 */
export interface SharedMemory {
  /** `length` bytes, contents irrelevant; free again once all of them were released, in one go or part by part. */
  take(length: number): Uint8Array<SharedArrayBuffer>;
  /** Gives up what nobody holds. */
  trim(): void;
}

/** In front of the bytes: how many are held, and a mark that the memory is one of these. Keeps the bytes aligned. */
const headerBytes = 64;
const mark = 0x4578_4d65;
/** Sizes are rounded up to these, bytes, so that pieces of about one size use the same memory. */
const step = 256 * 1024;

interface Piece {
  readonly buffer: SharedArrayBuffer;
  readonly header: Int32Array;
}

/** @param limit bytes that are kept at most; beyond it a piece is used once and left to the collector */
export function createSharedMemory(limit: number): SharedMemory {
  let pieces: Piece[] = [];
  let kept = 0;

  const isFree = ({ header }: Piece): boolean => Atomics.load(header, 0) === 0;

  function dropFree(): void {
    pieces = pieces.filter((piece) => !isFree(piece));
    kept = pieces.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  }

  function make(size: number): Piece {
    const buffer = new SharedArrayBuffer(size);
    const piece = { buffer, header: headerOf(buffer) };
    Atomics.store(piece.header, 1, mark);
    // Small free ones give way to the larger that is wanted now.
    if (kept + size > limit) dropFree();
    if (kept + size <= limit) {
      pieces.push(piece);
      kept += size;
    }
    return piece;
  }

  return {
    take(length) {
      const size = Math.ceil((length + headerBytes) / step) * step;
      const { buffer, header } =
        pieces.find((piece) => piece.buffer.byteLength >= size && isFree(piece)) ?? make(size);
      Atomics.store(header, 0, length);
      return new Uint8Array(buffer, headerBytes, length);
    },
    trim: dropFree,
  };
}

/** The bytes are held by one more. Anything that is not shared memory of this kind is left alone, also below. */
export function holdShared(bytes: Uint8Array): void {
  const header = markedHeader(bytes);
  if (header) Atomics.add(header, 0, bytes.byteLength);
}

/** Whoever was given these bytes, in whichever thread, does not read them any more. Once for each who holds them. */
export function releaseShared(bytes: Uint8Array): void {
  const header = markedHeader(bytes);
  if (!header) return;
  for (let held = Atomics.load(header, 0); ;) {
    const before = Atomics.compareExchange(header, 0, held, Math.max(0, held - bytes.byteLength));
    if (before === held) return;
    held = before;
  }
}

const headerOf = (buffer: SharedArrayBuffer): Int32Array => new Int32Array(buffer, 0, 2);

function markedHeader({ buffer }: Uint8Array): Int32Array | null {
  if (!(buffer instanceof SharedArrayBuffer) || buffer.byteLength < headerBytes) return null;
  const header = headerOf(buffer);
  return Atomics.load(header, 1) === mark ? header : null;
}
