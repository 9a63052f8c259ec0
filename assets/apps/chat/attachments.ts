import {
  fromBase64url,
  toBase64url,
  type App,
  type Collection,
  type Folder,
} from '../../../src-shared/sdk/index.ts';
import { h, icon, whyOf } from '../common/dom.ts';
import { words } from './words.ts';

/** A file that belongs to a message; its bytes stand beside it, in parts. */
export interface Attachment {
  readonly id: string;
  readonly name: string;
  readonly size: number;
  readonly parts: number;
}

/** A value of a collection holds 256 KiB of JSON. */
const partBytes = 180 * 1024;
const mostBytes = 8 * 1024 * 1024;
const partKey = (id: string, part: number): string => `f/${id}/${part.toString().padStart(4, '0')}`;

/** Where the parts of a file stand. */
export const partKeys = ({ id, parts }: Attachment): string[] =>
  Array.from({ length: Math.min(parts, 64) }, (_, part) => partKey(id, part));

/** The type of a picture that a page can show; null: it is none. SVG is left out, as it can be a page of its own. */
export function pictureType(name: string): string | null {
  const end = /\.(png|jpe?g|gif|webp|avif)$/i.exec(name)?.[1]?.toLowerCase();
  if (end === undefined) return null;
  return `image/${end === 'jpg' ? 'jpeg' : end}`;
}

/** Puts a file beside the messages of a group, encrypted for its members as they are. @throws Error when it is too large */
export async function attach(group: Collection, name: string, bytes: Uint8Array): Promise<Attachment> {
  if (bytes.length > mostBytes) throw new Error(words.tooLarge);
  const id = crypto.randomUUID();
  const parts = Math.max(1, Math.ceil(bytes.length / partBytes));
  for (let part = 0; part < parts; part += 1) {
    await group.put(partKey(id, part), toBase64url(bytes.subarray(part * partBytes, (part + 1) * partBytes)));
  }
  return { id, name: name.slice(0, 200), size: bytes.length, parts };
}

/** The bytes of an attachment; null while parts of it are still on their way. */
export async function bytesOf(
  group: Collection,
  { id, parts, size }: Attachment,
): Promise<Uint8Array | null> {
  const bytes = new Uint8Array(Math.min(size, mostBytes));
  let at = 0;
  for (let part = 0; part < Math.min(parts, 64); part += 1) {
    const entry = await group.get(partKey(id, part));
    if (typeof entry?.value !== 'string') return null;
    const piece = fromBase64url(entry.value);
    if (at + piece.length > bytes.length) return null;
    bytes.set(piece, at);
    at += piece.length;
  }
  return at === bytes.length ? bytes : null;
}

export const sizeText = (bytes: number): string =>
  bytes < 1024
    ? `${bytes} B`
    : bytes < 1024 ** 2
      ? `${Math.round(bytes / 1024)} KB`
      : `${(bytes / 1024 ** 2).toFixed(1)} MB`;

interface Chosen {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Lets the person choose files of this computer, or a file of one of the folders the app was given. */
export function chooseFile(app: App): Promise<readonly Chosen[]> {
  return new Promise((resolve) => {
    let chosen: readonly Chosen[] = [];
    const local = h('input', {
      type: 'file',
      multiple: true,
      hidden: true,
      onchange: () => void takeLocal().catch(fail),
    });
    const list = h('ul', { class: 'files' });
    const problem = h('p', { class: 'problem', role: 'alert' });
    const dialog = h(
      'dialog',
      { class: 'box', onclose: () => (dialog.remove(), resolve(chosen)) },
      h(
        'section',
        {},
        h('h2', {}, words.attach),
        h('p', { class: 'quiet' }, words.attachText),
        list,
        problem,
        h(
          'footer',
          {},
          local,
          h('button', { class: 'button', onclick: () => dialog.close() }, words.cancel),
          h('button', { class: 'button', onclick: () => void more() }, words.pickFolder),
          h('button', { class: 'button primary', onclick: () => local.click() }, words.fromHere),
        ),
      ),
    );
    const fail = (error: unknown): void => void (problem.textContent = whyOf(error));

    async function take(folder: Folder, path: string, name: string): Promise<void> {
      try {
        chosen = [{ name, bytes: await folder.read(path) }];
        dialog.close();
      } catch (error) {
        fail(error);
      }
    }
    async function takeLocal(): Promise<void> {
      const files = [...(local.files ?? [])];
      chosen = await Promise.all(
        files.map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })),
      );
      dialog.close();
    }
    async function show(): Promise<void> {
      if (!(await app.has('drive.read'))) return;
      const rows: HTMLElement[] = [];
      for (const folder of await app.drives.folders()) {
        let count = 0;
        for await (const file of folder.walk()) {
          if (file.kind !== 'file' || file.size > mostBytes) continue;
          if ((count += 1) > 100) break;
          rows.push(
            h(
              'li',
              {},
              h(
                'button',
                { class: 'row', onclick: () => void take(folder, file.path, file.name) },
                h('span', {}, icon('file')),
                h(
                  'span',
                  {},
                  h('b', {}, file.name),
                  h('span', { class: 'quiet' }, `${folder.name} · ${sizeText(file.size)}`),
                ),
              ),
            ),
          );
        }
      }
      list.replaceChildren(...rows);
    }
    async function more(): Promise<void> {
      try {
        await app.drives.pick({ access: 'read', reason: words.attachText });
        await show();
      } catch (error) {
        fail(error);
      }
    }
    document.body.append(dialog);
    dialog.showModal();
    void show().catch(fail);
  });
}
