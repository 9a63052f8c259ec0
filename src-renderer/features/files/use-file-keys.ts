import type { Folder } from './use-folder.ts';
import type { Selection } from './use-selection.ts';

export interface KeyActs {
  open(index: number): void;
  up(): void;
  rename(): void;
  remove(): void;
  newFolder(): void;
  /** Brings a row into view. */
  show(index: number): void;
}

/** Keys that only change what the next one means. */
const modifiers = new Set(['Shift', 'Control', 'Alt', 'AltGraph', 'Meta', 'CapsLock']);

/** How long letters typed one after another are one word, ms. */
const typeaheadPause = 700;

/** The keyboard of a file list, as people know it from their file manager. */
export function createFileKeys(
  folder: Folder,
  selection: Selection,
  acts: KeyActs,
  /** Entries in one line, and lines on one page. */
  shape: () => { readonly columns: number; readonly page: number },
) {
  let typed = '';
  let typedAt = 0;

  function moveTo(index: number, event: KeyboardEvent) {
    const last = (folder.total.value ?? 0) - 1;
    if (last < 0) return;
    const target = Math.max(0, Math.min(last, index));
    acts.show(target);
    if (event.shiftKey) void selection.extend(target);
    else if (event.ctrlKey || event.metaKey) selection.focus.value = target;
    else selection.only(target);
  }

  const isTyping = (now: number) => typed !== '' && now - typedAt <= typeaheadPause;

  async function typeahead(key: string, now: number) {
    const fresh = !isTyping(now);
    typed = fresh ? key : typed + key;
    typedAt = now;
    const from = selection.focus.value + (fresh ? 1 : 0);
    const wanted = typed;
    const index = await folder.locate(wanted, false, from);
    // More was typed meanwhile: that will find it.
    if (index === null || wanted !== typed) return;
    acts.show(index);
    selection.only(index);
    // What is far away is only now on its way here.
    if (!folder.at(index)) {
      const [entry] = await folder.range(index, index);
      if (entry && selection.focus.value === index) selection.choose(entry, index);
    }
  }

  return (event: KeyboardEvent): void => {
    const { columns, page } = shape();
    const at = selection.focus.value;
    const ctrl = event.ctrlKey || event.metaKey;
    const handled = () => event.preventDefault();
    // Whatever else is done ends the word that was being typed: what comes next begins another.
    if ((event.key.length > 1 && !modifiers.has(event.key)) || ctrl) typed = '';
    switch (event.key) {
      case 'ArrowDown':
        return (handled(), moveTo(at + columns, event));
      case 'ArrowUp':
        return (handled(), event.altKey ? acts.up() : moveTo(at - columns, event));
      case 'ArrowRight':
        return columns > 1 ? (handled(), moveTo(at + 1, event)) : undefined;
      case 'ArrowLeft':
        return columns > 1 ? (handled(), moveTo(at - 1, event)) : undefined;
      case 'PageDown':
        return (handled(), moveTo(at + columns * page, event));
      case 'PageUp':
        return (handled(), moveTo(at - columns * page, event));
      case 'Home':
        return (handled(), moveTo(0, event));
      case 'End':
        return (handled(), moveTo(Number.MAX_SAFE_INTEGER, event));
      case 'Enter':
        return (handled(), acts.open(at));
      case 'Backspace':
        return (handled(), acts.up());
      case 'F2':
        return (handled(), acts.rename());
      case 'Delete':
        return (handled(), acts.remove());
      case 'Escape':
        return selection.clear();
      case ' ':
        if (isTyping(event.timeStamp)) break;
        return (handled(), selection.toggle(at));
      default:
    }
    if (ctrl && event.shiftKey && event.key.toLowerCase() === 'n') return (handled(), acts.newFolder());
    if (ctrl && event.key.toLowerCase() === 'a') return (handled(), selection.selectAll());
    if (event.key.length === 1 && !ctrl && !event.altKey) {
      handled();
      void typeahead(event.key, event.timeStamp);
    }
  };
}
