import type { App, AppFile, Folder } from '../../../src-shared/sdk/index.ts';
import { h, icon } from '../common/dom.ts';
import type { OwnChannel } from './channel.ts';
import { frameOf } from './frame.ts';
import { words } from './words.ts';

const playable = /\.(?:mp4|m4v|webm|mov|mp3|m4a|ogg|opus|wav|flac)$/i;
const sizes = new Intl.NumberFormat(undefined, { style: 'unit', unit: 'megabyte', maximumFractionDigits: 1 });
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
/** Files that are listed. */
const mostListed = 500;

export const sizeText = (bytes: number): string => sizes.format(bytes / 1e6);

/** The name of a file as a title: `evening-set_1.mp4` becomes `evening set 1`. */
const titleOf = (name: string): string =>
  name
    .replace(/\.[^.]+$/, '')
    .replaceAll(/[_-]+/g, ' ')
    .trim()
    .slice(0, 200) || name;

/** Lets the owner choose a file of a folder; it is published, and put on the channel. */
export async function openAdd(app: App, own: OwnChannel, fail: (error: unknown) => void): Promise<void> {
  if ((await app.drives.folders()).length === 0) await app.drives.pick({ access: 'read' });
  const rows = h('ul', { class: 'files' });
  const dialog = h(
    'dialog',
    { class: 'box', onclose: () => dialog.remove() },
    h(
      'section',
      {},
      h('h2', {}, words.add),
      h('p', { class: 'quiet' }, words.addText),
      rows,
      h(
        'footer',
        {},
        h('button', { class: 'button', onclick: () => void another().catch(fail) }, words.pickFolder),
        h('button', { class: 'button', onclick: () => dialog.close() }, words.close),
      ),
    ),
  );

  async function another(): Promise<void> {
    await app.drives.pick({ access: 'read' });
    await list();
  }
  async function list(): Promise<void> {
    const found: { folder: Folder; file: AppFile }[] = [];
    for (const folder of await app.drives.folders()) {
      if (folder.missing) continue;
      for await (const file of folder.walk()) {
        if (playable.test(file.name) && found.length < mostListed) found.push({ folder, file });
      }
    }
    found.sort((a, b) => Date.parse(b.file.mtime ?? '') - Date.parse(a.file.mtime ?? ''));
    rows.replaceChildren(
      ...(found.length === 0 ? [h('li', { class: 'quiet' }, words.noFiles)] : []),
      ...found.map(({ folder, file }) =>
        h(
          'li',
          {},
          h(
            'button',
            { class: 'row', onclick: () => void choose(folder, file).catch(fail) },
            h('span', {}, icon('file')),
            h(
              'span',
              {},
              h('b', {}, file.name),
              h(
                'span',
                { class: 'quiet' },
                `${sizeText(file.size)} · ${dates.format(file.mtime ? Date.parse(file.mtime) : 0)}`,
              ),
            ),
          ),
        ),
      ),
    );
  }
  async function choose(folder: Folder, file: AppFile): Promise<void> {
    dialog.close();
    // Asked once for each folder: after that it is open already.
    const known = await own.linkOf(folder.folder);
    const link = known ?? (await folder.publish());
    if (known === null) await own.opened(folder.folder, link);
    const picture = await folder
      .url(file.path)
      .then(frameOf)
      .catch(() => null);
    await own.add(
      {
        id: crypto.randomUUID(),
        title: titleOf(file.name),
        link,
        path: file.path,
        size: file.size,
        time: file.mtime === null ? Date.now() : Date.parse(file.mtime),
      },
      picture,
    );
  }
  await list();
  document.body.append(dialog);
  dialog.showModal();
}
