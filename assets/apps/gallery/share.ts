import { AppRequestError, type Folder } from '../../../src-shared/sdk/index.ts';
import { h } from '../common/dom.ts';
import { say, words } from './strings.ts';

/** Makes a link that opens an album for others. The person is asked once more, in ExtraChain's own window. */
export function openShare(folder: Folder, album: string): void {
  const name = album.slice(album.lastIndexOf('/') + 1);
  const note = h('p', { class: 'problem', role: 'alert' });
  const link = h('input', { readonly: true, 'aria-label': words.share, hidden: true });
  const make = h(
    'button',
    { class: 'button primary', type: 'button', onclick: () => void share() },
    words.makeLink,
  );
  const copy = h(
    'button',
    {
      class: 'button primary',
      type: 'button',
      hidden: true,
      onclick: () =>
        void navigator.clipboard.writeText(link.value).then(() => (copy.textContent = words.copied)),
    },
    words.copy,
  );
  const dialog = h(
    'dialog',
    { class: 'box', onclose: () => dialog.remove() },
    h(
      'section',
      {},
      h('h2', {}, say(words.shareTitle, { name })),
      h('p', { class: 'quiet' }, words.shareText),
      link,
      note,
      h(
        'footer',
        {},
        h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, words.close),
        make,
        copy,
      ),
    ),
  );

  async function share(): Promise<void> {
    make.disabled = true;
    note.textContent = '';
    try {
      link.value = await folder.share({ path: album, role: 'reader' });
      link.hidden = copy.hidden = false;
      make.hidden = true;
      link.select();
    } catch (error) {
      if (!(error instanceof AppRequestError && error.rejected)) {
        note.textContent = say(words.failed, { why: error instanceof Error ? error.message : String(error) });
      }
      make.disabled = false;
    }
  }
  document.body.append(dialog);
  dialog.showModal();
}
