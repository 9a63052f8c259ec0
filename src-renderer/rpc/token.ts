/**
 * The token of the loopback socket: it comes in the fragment, which no browser sends anywhere, and stays with this tab until
 * that is closed, so that the page can be loaded again.
 */
export interface TokenHolder {
  get(): string | null;
  /** Takes it out of an address such as the daemon prints; false when there is none in it. */
  take(address: string): boolean;
  /** Calls back when a new one was given. */
  onChange(listener: () => void): void;
}

function tokenIn(fragment: string): string | null {
  const token = new URLSearchParams(fragment.replace(/^#\/?/, '')).get('token');
  return token !== null && /^[A-Za-z0-9_-]{20,100}$/.test(token) ? token : null;
}

/** In the session's storage, of this origin and this tab alone. */
const storageKey = 'extrachain.token';

/** Reads the token from the page's address and takes it out of there, so that it is in no history and no bookmark. */
export function createTokenHolder(): TokenHolder {
  let token = tokenIn(`#token=${sessionStorage.getItem(storageKey) ?? ''}`);
  const listeners: (() => void)[] = [];

  function read() {
    const found = tokenIn(location.hash);
    if (found === null) return;
    history.replaceState(null, '', `${location.pathname}#/`);
    keep(found);
  }
  function keep(found: string) {
    token = found;
    sessionStorage.setItem(storageKey, found);
    for (const listener of listeners) listener();
  }
  read();
  // An address with a token, opened in a tab that shows this page, changes the fragment only. First, or the router sees it.
  for (const name of ['popstate', 'hashchange'])
    addEventListener(name, (event) => {
      if (tokenIn(location.hash) !== null) event.stopImmediatePropagation();
      read();
    });

  return {
    get: () => token,
    take(address) {
      const at = address.indexOf('#');
      const found = tokenIn(at < 0 ? `#token=${address.trim()}` : address.trim().slice(at));
      if (found === null) return false;
      keep(found);
      return true;
    },
    onChange: (listener) => void listeners.push(listener),
  };
}
