import { createCipheriv, createDecipheriv } from 'node:crypto';
import { AppError } from '../../src-shared/errors.ts';
import type { RandomBytes } from '../../src-shared/runtime.ts';
import { associatedData } from './codec/header.ts';
import type { PartHeader, StreamId } from './types.ts';

const tagBytes = 16;
const nonceBytes = 12;
/** Keys remembered: a window of an hour at one a minute, and some. */
const mostEpochs = 128;
/** Audiences of which keys are remembered. */
const mostAudiences = 16;

/** AES-256-GCM with the nonce in front. */
export function sealBox(
  key: Uint8Array,
  bytes: Uint8Array,
  associated: Uint8Array,
  random: RandomBytes,
): Uint8Array {
  const nonce = random(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(associated);
  return new Uint8Array(Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]));
}

/** @throws AppError `key_missing` when it is not for this key, or damaged */
export function openBox(key: Uint8Array, box: Uint8Array, associated: Uint8Array): Uint8Array {
  try {
    const end = box.length - tagBytes;
    const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, nonceBytes))
      .setAAD(associated)
      .setAuthTag(box.subarray(end));
    return new Uint8Array(Buffer.concat([decipher.update(box.subarray(nonceBytes, end)), decipher.final()]));
  } catch (cause) {
    throw new AppError('key_missing', 'This was encrypted for another key.', { cause });
  }
}

/** What is said beside an epoch's key and beside the programme, so that neither opens as the other or in another stream. */
const about = (what: 'epoch' | 'programme', stream: StreamId, number: number): Uint8Array =>
  new Uint8Array(Buffer.from(`extrachain stream ${what} v1\0${stream}\0${number}`));

/**
 * The keys of an encrypted stream. The audience key is what a viewer is given (by box or in a link); it opens the keys of the
 * epochs, which change every minute and with each run, so that no nonce is ever used twice under one key: the nonce of a part is its
 * rendition and number, which never come again. Another audience has another key; those before it still open what was sent under them.
 */
export interface StreamKeys {
  /** The newest; null while this node may not read the stream. */
  audienceKey(): Uint8Array | null;
  /** From now on everything is sealed under this one. */
  setAudienceKey(key: Uint8Array): void;
  /** Can parts of this epoch be read here? */
  opens(epoch: number): boolean;
  /** A new epoch's key, sealed for the audience. */
  makeEpoch(epoch: number): Uint8Array;
  /** Takes a sealed epoch key. It is opened when the audience key is there. */
  learn(epoch: number, sealed: Uint8Array): void;
  sealPart(header: Omit<PartHeader, 'chunks'>, plain: Uint8Array): Uint8Array;
  /** @throws AppError `key_missing` */
  openPart(header: PartHeader, payload: Uint8Array): Uint8Array;
  sealProgramme(number: number, programme: Uint8Array): Uint8Array;
  openProgramme(number: number, sealed: Uint8Array): Uint8Array;
}

export const partTagBytes = tagBytes;

function partNonce(header: Pick<PartHeader, 'rendition' | 'seq'>): Uint8Array {
  const nonce = Buffer.alloc(nonceBytes);
  nonce[0] = header.rendition;
  nonce.writeBigUInt64BE(BigInt(header.seq), 4);
  return nonce;
}

export function createStreamKeys(stream: StreamId, random: RandomBytes): StreamKeys {
  /** The newest first. */
  let audiences: readonly Uint8Array[] = [];
  const sealed = new Map<number, Uint8Array>();
  const opened = new Map<number, Uint8Array>();

  function needed(): Uint8Array {
    const [newest] = audiences;
    if (newest) return newest;
    throw new AppError('not_invited', 'This stream is not for you, or its link is not whole.');
  }

  /** @throws AppError `not_invited`, `key_missing` */
  function openByAny(box: Uint8Array, associated: Uint8Array): Uint8Array {
    const newest = needed();
    for (const key of audiences.slice(1)) {
      try {
        return openBox(key, box, associated);
      } catch {
        // Sealed for another audience.
      }
    }
    return openBox(newest, box, associated);
  }

  function keyOf(epoch: number): Uint8Array {
    const known = opened.get(epoch);
    if (known) return known;
    const box = sealed.get(epoch);
    if (!box) throw new AppError('key_missing', 'The key of a part has not come yet.');
    const key = openByAny(box, about('epoch', stream, epoch));
    opened.set(epoch, key);
    return key;
  }

  function remember<T>(map: Map<number, T>, epoch: number, value: T): void {
    map.set(epoch, value);
    if (map.size > mostEpochs) map.delete(map.keys().next().value as number);
  }

  return {
    audienceKey: () => audiences[0] ?? null,
    setAudienceKey(key) {
      audiences = [key, ...audiences].slice(0, mostAudiences);
    },
    opens(epoch) {
      try {
        keyOf(epoch);
        return true;
      } catch {
        return false;
      }
    },
    makeEpoch(epoch) {
      const key = random(32);
      const box = sealBox(needed(), key, about('epoch', stream, epoch), random);
      remember(opened, epoch, key);
      remember(sealed, epoch, box);
      return box;
    },
    learn(epoch, box) {
      if (!sealed.has(epoch)) remember(sealed, epoch, box);
    },
    sealPart(header, plain) {
      const cipher = createCipheriv('aes-256-gcm', keyOf(header.epoch), partNonce(header)).setAAD(
        associatedData(header),
      );
      return new Uint8Array(Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]));
    },
    openPart(header, payload) {
      const end = payload.length - tagBytes;
      try {
        const decipher = createDecipheriv('aes-256-gcm', keyOf(header.epoch), partNonce(header))
          .setAAD(associatedData(header))
          .setAuthTag(payload.subarray(end));
        return new Uint8Array(Buffer.concat([decipher.update(payload.subarray(0, end)), decipher.final()]));
      } catch (error) {
        if (error instanceof AppError) throw error;
        throw new AppError('key_missing', 'A part does not open with its key.', { cause: error });
      }
    },
    sealProgramme: (number, programme) =>
      sealBox(needed(), programme, about('programme', stream, number), random),
    openProgramme: (number, box) => openByAny(box, about('programme', stream, number)),
  };
}
