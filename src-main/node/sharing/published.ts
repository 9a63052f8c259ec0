import { createCipheriv, createHash, hkdfSync, timingSafeEqual } from 'node:crypto';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { RandomBytes } from '../../../src-shared/runtime.ts';
import type { Published } from '../../api/index.ts';
import { blockKey, rootNode, type BlockRef, type Drive, type TreeNode } from '../../drive/index.ts';
import type { BlockSource, Exchange } from '../../exchange/index.ts';
import { isDriveId } from '../drive-link.ts';
import type { Drives } from '../drives.ts';
import { accessKeyOf } from './open-access.ts';
import type { Readers } from './reader-bounds.ts';
import type { Relay } from './relay.ts';
import type { RelayRequest } from './relay-messages.ts';
import type { Views } from './views.ts';

const pageSize = 500;

interface Found {
  readonly drive: Drive;
  readonly secret: Uint8Array;
  /** null: nothing is kept here. */
  readonly blocks: BlockSource | null;
}

/** Open drives for browsers: those kept here, and public ones of others. */
export function createPublished(deps: {
  readonly drives: () => Drives;
  readonly views: () => Views;
  readonly exchange: () => Exchange;
  readonly random: RandomBytes;
  readonly relay: () => Relay;
  readonly readers: () => Pick<Readers, 'pay' | 'sent'>;
}): Published {
  async function find(driveId: string, access: Uint8Array | null, signal: AbortSignal): Promise<Found> {
    if (!isDriveId(driveId)) throw missing();
    const kept = deps
      .drives()
      .list()
      .find((one) => one.record.driveId === driveId);
    const { drive } = kept ?? (await deps.views().open(driveId, signal).catch(asMissing));
    const secret = drive.readSecret();
    if (secret === null || drive.visibility() === 'private') throw missing();
    if (drive.visibility() === 'unlisted') {
      const wanted = accessKeyOf(secret);
      if (access?.length !== wanted.length || !timingSafeEqual(access, wanted)) throw missing();
    }
    return { drive, secret, blocks: kept?.sync.blocks ?? null };
  }

  const isKept = (driveId: string): boolean =>
    deps
      .drives()
      .list()
      .some((one) => one.record.driveId === driveId);

  /**
   * What is kept elsewhere is asked of those who keep it, when the visitor has shown something that may be knowledge of an unlisted link; that
   * of a public drive is of no use there, and then it is opened here. null: it is for this node to answer.
   */
  async function elsewhere(
    request: RelayRequest,
    access: Uint8Array | null,
    signal: AbortSignal,
  ): Promise<Uint8Array | null> {
    if (access === null || !isDriveId(request.drive) || isKept(request.drive)) return null;
    if (deps.views().has(request.drive)) return null;
    return deps
      .relay()
      .ask(request, access, signal)
      .catch((error: unknown) => {
        if (isAppError(error, 'not_found')) return null;
        throw error;
      });
  }

  /** What goes to readers, by whatever way, is theirs to wait for. */
  async function out(bytes: Uint8Array): Promise<Uint8Array> {
    await deps.readers().pay(bytes.length);
    deps.readers().sent(bytes.length);
    return bytes;
  }

  /** AES-256-GCM, nonce in front; bound to the drive and to what was asked. */
  function seal({ drive, secret }: Found, asked: string, value: unknown): Uint8Array {
    const key = hkdfSync('sha256', secret, new Uint8Array(), 'extrachain gateway v1', 32);
    const nonce = deps.random(12);
    const cipher = createCipheriv('aes-256-gcm', new Uint8Array(key), nonce);
    cipher.setAAD(Buffer.from(`extrachain gateway v1\n${drive.id}\n${asked}`));
    const body = Buffer.concat([cipher.update(JSON.stringify(value)), cipher.final()]);
    return new Uint8Array(Buffer.concat([nonce, body, cipher.getAuthTag()]));
  }

  function fileAt({ drive }: Found, id: string) {
    const node = drive.tree.get(id);
    if (node?.content?.kind !== 'file') throw missing();
    return { name: node.name, content: node.content };
  }

  async function fetchBlock(
    { drive, blocks }: Found,
    ref: BlockRef,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const here = blocks === null ? null : (await blocks.read([ref.id]))[0];
    if (here) return here;
    let bytes: Uint8Array | null = null;
    const accept = (ciphertext: Uint8Array): Promise<void> => {
      if (!createHash('sha256').update(ciphertext).digest().equals(ref.id)) {
        return Promise.reject(new AppError('bad_hash', 'A block does not match its id.'));
      }
      // The memory it came in is used again.
      bytes = Uint8Array.from(ciphertext);
      return Promise.resolve();
    };
    await deps.exchange().fetch(drive.id, [{ ref, accept }], signal);
    if (bytes === null) throw new AppError('gone', 'Nobody reachable has it.');
    return bytes;
  }

  return {
    async drive(driveId, access, signal) {
      // That the root folder is handed out shows that the drive is there and the link right.
      const root = { t: 'folder', drive: driveId, node: rootNode, after: '' } as const;
      if (await elsewhere(root, access, signal)) return { visibility: 'unlisted', readSecret: null };
      const { drive, secret } = await find(driveId, access, signal);
      const open = drive.visibility() === 'public';
      return { visibility: open ? 'public' : 'unlisted', readSecret: open ? secret : null };
    },
    async folder(driveId, access, folder, after, signal) {
      const relayed = await elsewhere({ t: 'folder', drive: driveId, node: folder, after }, access, signal);
      if (relayed) return out(relayed);
      const found = await find(driveId, access, signal);
      const { tree } = found.drive;
      if (tree.path(folder) === null) throw missing();
      const page = tree.children(folder, { ...(after !== '' && { after }), limit: pageSize + 1 });
      const items = page.slice(0, pageSize).map(shown);
      const next = page.length > pageSize ? items.at(-1)!.name : null;
      return out(seal(found, `folder ${folder} ${after}`, { drive: found.drive.name(), items, next }));
    },
    async file(driveId, access, file, signal) {
      const relayed = await elsewhere({ t: 'file', drive: driveId, node: file }, access, signal);
      if (relayed) return out(relayed);
      const found = await find(driveId, access, signal);
      const { name, content } = fileAt(found, file);
      const inline = content.inline === null ? null : Buffer.from(content.inline).toString('base64');
      const blocks = content.blocks.map((ref) => {
        const key = blockKey(found.drive.contentKey(ref.epoch), ref.plainHash, ref.len);
        return [Buffer.from(ref.id).toString('hex'), Buffer.from(key).toString('base64'), ref.len];
      });
      return out(seal(found, `file ${file}`, { name, size: content.size, inline, blocks }));
    },
    async block(driveId, access, { file, index, id }, signal) {
      const relayed = await elsewhere({ t: 'block', drive: driveId, node: file, index, id }, access, signal);
      if (relayed) return out(relayed);
      const found = await find(driveId, access, signal);
      const ref = fileAt(found, file).content.blocks[index];
      if (!ref || Buffer.from(ref.id).toString('hex') !== id) throw missing();
      return out(await fetchBlock(found, ref, signal));
    },
  };
}

function shown({ id, name, kind, content }: TreeNode) {
  const file = content?.kind === 'file' ? content : null;
  return { id, name, kind, size: file?.size ?? 0, mtime: file?.mtime ?? null };
}

const missing = (): AppError =>
  new AppError('not_found', 'There is no such drive, or it is not open to you.');

function asMissing(cause: unknown): never {
  throw new AppError('not_found', 'There is no such drive, or nobody who has it is reached.', { cause });
}
