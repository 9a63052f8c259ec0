import { AppError } from '../../src-shared/errors.ts';
import { isDriveId } from './history-messages.ts';
import { limits } from './limits.ts';

/** A block asked for: its id (32 bytes) and an upper bound of its ciphertext, which is the credit it is asked with. */
export interface Want {
  readonly id: Uint8Array;
  readonly size: number;
}
export interface Block {
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
}

/**
 * `/extrachain/blocks/1`, big-endian. From the asking side: `want` (1) and `cancel` (2), which name a drive; from the
 * providing side: `blocks` (16), `gone` (17), `forbidden` (18), `load` (19), `busy` (20). Answers come in any order; what is not wanted
 * any more may still come when it was on its way. `load` says how long what others have asked for keeps the provider busy; `busy`
 * sends back blocks that it does not take on because of that.
 */
export type BlockFrame =
  | { readonly t: 'want'; readonly drive: string; readonly wants: readonly Want[] }
  | { readonly t: 'cancel'; readonly drive: string; readonly ids: readonly Uint8Array[] }
  | { readonly t: 'blocks'; readonly blocks: readonly Block[] }
  | { readonly t: 'gone'; readonly ids: readonly Uint8Array[] }
  | { readonly t: 'forbidden'; readonly drive: string }
  | { readonly t: 'load'; readonly waitMs: number }
  | { readonly t: 'busy'; readonly waitMs: number; readonly ids: readonly Uint8Array[] };

const kinds = { want: 1, cancel: 2, blocks: 16, gone: 17, forbidden: 18, load: 19, busy: 20 } as const;

/** Encodes a frame as chunks to be sent one after another; the blocks' own bytes are not copied. */
export function encodeBlockFrame(frame: BlockFrame): readonly Uint8Array[] {
  switch (frame.t) {
    case 'want': {
      const head = driveHead(kinds.want, frame.drive, 2 + 36 * frame.wants.length);
      let at = head.writeUInt16BE(frame.wants.length, 2 + frame.drive.length);
      for (const want of frame.wants) {
        head.set(want.id, at);
        at = head.writeUInt32BE(want.size, at + 32);
      }
      return [head];
    }
    case 'cancel': {
      const head = driveHead(kinds.cancel, frame.drive, 2 + 32 * frame.ids.length);
      putIds(head, 2 + frame.drive.length, frame.ids);
      return [head];
    }
    case 'blocks': {
      const head = Buffer.allocUnsafe(3 + 36 * frame.blocks.length);
      head[0] = kinds.blocks;
      let at = head.writeUInt16BE(frame.blocks.length, 1);
      for (const block of frame.blocks) {
        head.set(block.id, at);
        at = head.writeUInt32BE(block.bytes.length, at + 32);
      }
      return [head, ...frame.blocks.map((block) => block.bytes)];
    }
    case 'gone': {
      const head = Buffer.allocUnsafe(3 + 32 * frame.ids.length);
      head[0] = kinds.gone;
      putIds(head, 1, frame.ids);
      return [head];
    }
    case 'forbidden':
      return [driveHead(kinds.forbidden, frame.drive, 0)];
    case 'load':
      return [waitHead(kinds.load, frame.waitMs, 0)];
    case 'busy': {
      const head = waitHead(kinds.busy, frame.waitMs, 2 + 32 * frame.ids.length);
      putIds(head, 5, frame.ids);
      return [head];
    }
  }
}

/**
 * Decodes a frame. Ids and blocks are views of it.
 * @throws AppError `malformed`, `too_large`
 */
export function decodeBlockFrame(frame: Uint8Array): BlockFrame {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  switch (bytes[0]) {
    case kinds.want: {
      const { drive, rest } = takeDrive(bytes);
      const n = takeCount(rest, limits.idsPerWant);
      if (rest.length !== 2 + 36 * n) throw malformed('the length does not fit the number of blocks');
      const wants: Want[] = [];
      for (let at = 2; at < rest.length; at += 36) {
        const size = rest.readUInt32BE(at + 32);
        if (size > limits.blockBytes) throw tooLarge();
        wants.push({ id: rest.subarray(at, at + 32), size });
      }
      return { t: 'want', drive, wants };
    }
    case kinds.cancel: {
      const { drive, rest } = takeDrive(bytes);
      return { t: 'cancel', drive, ids: takeIds(rest, limits.wantsPerPeer) };
    }
    case kinds.blocks: {
      const n = takeCount(bytes.subarray(1), limits.blocksBatchCount);
      let data = 3 + 36 * n;
      if (bytes.length < data) throw malformed('it is cut short');
      const blocks: Block[] = [];
      for (let at = 3; at < 3 + 36 * n; at += 36) {
        const size = bytes.readUInt32BE(at + 32);
        if (size > limits.blockBytes) throw tooLarge();
        if (data + size > bytes.length) throw malformed('it is cut short');
        blocks.push({ id: bytes.subarray(at, at + 32), bytes: bytes.subarray(data, data + size) });
        data += size;
      }
      if (data !== bytes.length) throw malformed('bytes are left over');
      return { t: 'blocks', blocks };
    }
    case kinds.gone:
      return { t: 'gone', ids: takeIds(bytes.subarray(1), limits.wantsPerPeer) };
    case kinds.forbidden: {
      const { drive, rest } = takeDrive(bytes);
      if (rest.length !== 0) throw malformed('bytes are left over');
      return { t: 'forbidden', drive };
    }
    case kinds.load:
      if (bytes.length !== 5) throw malformed('its length is wrong');
      return { t: 'load', waitMs: bytes.readUInt32BE(1) };
    case kinds.busy:
      if (bytes.length < 5) throw malformed('it is cut short');
      return {
        t: 'busy',
        waitMs: bytes.readUInt32BE(1),
        ids: takeIds(bytes.subarray(5), limits.wantsPerPeer),
      };
    default:
      throw malformed('its kind is unknown');
  }
}

/**
 * An upper bound of a block's ciphertext: Padmé adds at most 12 % (Nikitin et al. 2019, "Reducing Metadata Leakage from
 * Encrypted Files and Communication with PURBs"), the tag 16 bytes.
 * @param len bytes of plaintext
 */
export function ciphertextBound(len: number): number {
  return Math.min(Math.ceil(len * 1.12) + 64, limits.blockBytes);
}

function driveHead(kind: number, drive: string, more: number): Buffer {
  const head = Buffer.allocUnsafe(2 + drive.length + more);
  head[0] = kind;
  head[1] = drive.length;
  head.write(drive, 2, 'latin1');
  return head;
}

function waitHead(kind: number, waitMs: number, more: number): Buffer {
  const head = Buffer.allocUnsafe(5 + more);
  head[0] = kind;
  head.writeUInt32BE(Math.min(Math.round(waitMs), 0xffffffff), 1);
  return head;
}

function putIds(head: Buffer, from: number, ids: readonly Uint8Array[]): void {
  let at = head.writeUInt16BE(ids.length, from);
  for (const id of ids) {
    head.set(id, at);
    at += 32;
  }
}

function takeDrive(bytes: Buffer): { drive: string; rest: Buffer } {
  const length = bytes[1] ?? 0;
  const drive = bytes.toString('latin1', 2, 2 + length);
  if (drive.length !== length || !isDriveId(drive)) throw malformed('the drive id is wrong');
  return { drive, rest: bytes.subarray(2 + length) };
}

function takeCount(bytes: Buffer, max: number): number {
  if (bytes.length < 2) throw malformed('it is cut short');
  const n = bytes.readUInt16BE(0);
  if (n === 0 || n > max) throw malformed('the number of blocks is out of range');
  return n;
}

function takeIds(bytes: Buffer, max: number): Uint8Array[] {
  const n = takeCount(bytes, max);
  if (bytes.length !== 2 + 32 * n) throw malformed('the length does not fit the number of blocks');
  const ids: Uint8Array[] = [];
  for (let at = 2; at < bytes.length; at += 32) ids.push(bytes.subarray(at, at + 32));
  return ids;
}

function malformed(why: string): AppError {
  return new AppError('malformed', `A block frame can't be read: ${why}.`);
}

function tooLarge(): AppError {
  return new AppError('too_large', 'A block frame names a block that is larger than any may be.');
}
