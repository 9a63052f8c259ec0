/** What every runtime of an app has, and the types of this folder do not. */
const { atob, btoa, TextEncoder, TextDecoder } = globalThis as unknown as {
  atob(text: string): string;
  btoa(text: string): string;
  TextEncoder: new () => { encode(text: string): Uint8Array };
  TextDecoder: new () => { decode(bytes: Uint8Array): string };
};

/** Text or bytes; text goes as UTF-8. */
export type Bytes = Uint8Array | string;

export const toBytes = (value: Bytes): Uint8Array =>
  typeof value === 'string' ? new TextEncoder().encode(value) : value;
export const toText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** base64url without padding (RFC 4648, section 5): how bytes travel inside JSON. */
export function toBase64url(value: Bytes): string {
  const bytes = toBytes(value);
  let binary = '';
  // In pieces: `apply` takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 8192)
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

export function fromBase64url(text: string): Uint8Array {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
