/** The bricks of ISO base media files (ISO/IEC 14496-12): numbers big-endian, boxes with their size in front. */

export type Bytes = Uint8Array<ArrayBuffer>;
type Piece = Uint8Array | readonly Uint8Array[];

export const u8 = (...values: number[]): Bytes => Uint8Array.from(values);
export const u16 = (value: number): Bytes => u8((value >>> 8) & 0xff, value & 0xff);
export const u32 = (value: number): Bytes =>
  u8((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
export const zeros = (count: number): Bytes => new Uint8Array(count);
export const ascii = (text: string): Bytes => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** 64 bits from a whole number up to 2^53 - 1. */
export const u64 = (value: number): Bytes => concat([u32(Math.floor(value / 2 ** 32)), u32(value % 2 ** 32)]);

export function concat(pieces: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** A box of four letters around its pieces. */
export function box(type: string, ...pieces: Piece[]): Bytes {
  const flat = pieces.flat() as Uint8Array[];
  const size = 8 + flat.reduce((sum, piece) => sum + piece.length, 0);
  return concat([u32(size), ascii(type), ...flat]);
}

/** A box that says a version and flags before its fields. */
export const fullBox = (type: string, version: number, flags: number, ...pieces: Piece[]): Bytes =>
  box(type, u32(((version << 24) | flags) >>> 0), ...pieces);
