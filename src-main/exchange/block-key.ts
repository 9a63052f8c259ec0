/** A block id as a short map key: 32 characters of one byte each. */
export function blockKey(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1');
}

export function keyToId(key: string): Uint8Array {
  return Buffer.from(key, 'latin1');
}

export function keyToHex(key: string): string {
  return Buffer.from(key, 'latin1').toString('hex');
}
