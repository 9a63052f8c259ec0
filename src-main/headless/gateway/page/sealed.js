// What page and worker share: opening what the gateway sends. Keys never leave this browser.

/** @param {string} text base64 or base64url */
export function fromBase64(text) {
  const plain = atob(text.replace(/-/g, '+').replace(/_/g, '/'));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

/** @param {Uint8Array} bytes */
export function toBase64Url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '');
}

/** 32 bytes of HKDF-SHA-256 with an empty salt. */
export async function derive(secret, info) {
  const key = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  const parameters = {
    name: 'HKDF',
    hash: 'SHA-256',
    salt: new Uint8Array(),
    info: new TextEncoder().encode(info),
  };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, 256));
}

async function decrypt(key, parameters, bytes) {
  const imported = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt']);
  return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', ...parameters }, imported, bytes));
}

/** An answer bound to the drive and to what was asked: nobody on the way can put another in its place. */
export async function openAnswer(key, drive, asked, sealed) {
  const additionalData = new TextEncoder().encode(`extrachain gateway v1\n${drive}\n${asked}`);
  const plain = await decrypt(key, { iv: sealed.subarray(0, 12), additionalData }, sealed.subarray(12));
  return JSON.parse(new TextDecoder().decode(plain));
}

/** One block of a file: each has a key of its own, hence the zero nonce; padded with zeros behind its length. */
export async function openBlock([, key, length], sealed) {
  return (await decrypt(fromBase64(key), { iv: new Uint8Array(12) }, sealed)).subarray(0, length);
}

/**
 * What a Range header asks for of a file (RFC 9110, 14.2): the bytes from `start` to before `end`. What is no single range of bytes from a
 * place on, or ends before it begins, is as if it were not there (`range` false).
 * @param {string | null} header
 * @param {number} size of the file
 */
export function rangeOf(header, size) {
  const [, from, to] = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  const all = { range: false, start: 0, end: size };
  if (from === undefined || (to !== '' && Number(to) < Number(from))) return all;
  return { range: true, start: Number(from), end: to === '' ? size : Math.min(Number(to) + 1, size) };
}

/**
 * The bytes of a file from `start` to before `end`, a block at a time, fetching only those blocks.
 * @param {{url: string, access: string | null, inline: string | null, blocks: [string, string, number][]}} file
 */
export async function* readRange(file, start, end) {
  if (file.inline !== null) {
    yield fromBase64(file.inline).subarray(start, end);
    return;
  }
  let at = 0;
  for (const [index, block] of file.blocks.entries()) {
    const length = block[2];
    if (at + length > start && at < end) {
      const headers = file.access === null ? {} : { authorization: `Bearer ${file.access}` };
      const answer = await fetch(`${file.url}/${index}/${block[0]}`, { headers });
      if (!answer.ok) throw new Error(`block ${index}: ${answer.status}`);
      const plain = await openBlock(block, new Uint8Array(await answer.arrayBuffer()));
      yield plain.subarray(Math.max(0, start - at), Math.max(0, end - at));
    }
    at += length;
  }
}
