import { AppRequestError } from '../../../src-shared/sdk/index.ts';
import { h, whyOf } from './dom.ts';

/** How long it is said that something did not work, ms. */
const shownFor = 8000;

/**
 * The two panes of an app, a list at the side and what is open, and the line that says what did not work.
 * @param failed the words before a reason
 */
export function createPanes(failed: string) {
  const problem = h('p', { class: 'problem foot', role: 'alert', hidden: true });
  function say(text: string): void {
    problem.textContent = text;
    problem.hidden = false;
    setTimeout(() => (problem.hidden = true), shownFor);
  }
  /** Says why; a no of the person needs no words. */
  function fail(error: unknown): void {
    if (error instanceof AppRequestError && error.rejected) return;
    say(`${failed} ${whyOf(error)}`);
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
