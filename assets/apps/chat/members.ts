import type { Collection } from '../../../src-shared/sdk/index.ts';
import { askLine, h, shortId } from '../common/dom.ts';
import { words } from './words.ts';

/** Who is in a group: adding somebody, one's own name, leaving. */
export function openMembers({
  group,
  name,
  names,
  self,
  fail,
  left,
}: {
  readonly group: Collection;
  readonly name: string;
  readonly names: ReadonlyMap<string, string>;
  readonly self: string;
  readonly fail: (error: unknown) => void;
  readonly left: () => void;
}): void {
  const rows = h('ul', { class: 'files' });
  const field = h('input', { value: names.get(self) ?? '', maxlength: 60, 'aria-label': words.yourName });
  const dialog = h(
    'dialog',
    { class: 'box', onclose: () => dialog.remove() },
    h(
      'section',
      {},
      h('h2', {}, `${words.members}: ${name}`),
      rows,
      h('label', {}, words.yourName, field),
      h(
        'footer',
        {},
        h(
          'button',
          { class: 'button problem', onclick: () => void group.leave().then(done, fail) },
          words.leave,
        ),
        h('button', { class: 'button', onclick: () => void add().catch(fail) }, words.addMember),
        h('button', { class: 'button primary', onclick: () => dialog.close() }, words.close),
      ),
    ),
  );
  field.addEventListener('change', () => {
    group.put(`name/${self}`, field.value.trim()).catch(fail);
  });

  function done(): void {
    dialog.close();
    left();
  }
  async function draw(): Promise<void> {
    const { members } = await group.members();
    rows.replaceChildren(
      ...members.map((one) =>
        h(
          'li',
          { class: 'member' },
          h(
            'span',
            { class: 'face', 'aria-hidden': true },
            (names.get(one.userId) ?? '?')[0]?.toUpperCase() ?? '?',
          ),
          h(
            'span',
            {},
            h('b', {}, names.get(one.userId) ?? (one.userId === self ? words.you : shortId(one.userId))),
            h('span', { class: 'quiet' }, `${one.role} · ${shortId(one.userId)}`),
          ),
        ),
      ),
    );
  }
  async function add(): Promise<void> {
    dialog.close();
    const user = await askLine(words.addMember, {
      label: words.userId,
      text: words.addText,
      ok: words.add,
      cancel: words.cancel,
    });
    if (user) await group.share(user);
  }
  document.body.append(dialog);
  dialog.showModal();
  draw().catch(fail);
}
