import { AppRequestError } from '../../../src-shared/sdk/index.ts';
import { h, whyOf } from './dom.ts';

/** How long it is said that something did not work, ms. */
const shownFor = 8000;

/**
 * The two panes of an app, a list at the side and what is open, and the line that says what did not work, or what was done.
 * @param failed the words before a reason
 */
export function createPanes(failed: string) {
  const problem = h('p', { class: 'problem foot', role: 'alert', hidden: true });
  let hide: ReturnType<typeof setTimeout> | null = null;
  function show(text: string, failed: boolean): void {
    problem.textContent = text;
    problem.classList.toggle('problem', failed);
    problem.hidden = false;
    if (hide !== null) clearTimeout(hide);
    hide = setTimeout(() => (problem.hidden = true), shownFor);
  }
  const say = (text: string): void => show(text, false);
  /** Says why; a no of the person needs no words. */
  function fail(error: unknown): void {
    if (error instanceof AppRequestError && error.rejected) return;
    show(`${failed} ${whyOf(error)}`, true);
  }
  return {
    root: document.getElementById('app')!,
    side: h('section', { class: 'side' }),
    main: h('section', { class: 'main' }),
    problem,
    say,
    fail,
    /** What a click does. */
    run: (work: () => Promise<unknown>) => (): void => void work().catch(fail),
  };
}
