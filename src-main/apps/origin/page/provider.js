// Runs before anything of the app's page: makes `window.extrachain`, the one way out that the page has (EIP-1193, EIP-6963).
(() => {
  'use strict';
  const keyName = 'extrachain.session';
  const reconnectAfter = [250, 500, 1000, 2000, 5000];
  /** In the desktop's windows the preload script brings the carrier; in a browser it is a WebSocket. */
  const desktop = window.extrachainCarrier ?? null;
  const { WebSocket, JSON, Promise, setTimeout, CustomEvent } = window;

  // The launcher opens the page with a secret in the fragment, good once. It leaves the address before the app looks at it.
  const fragment = new URLSearchParams(location.hash.slice(1));
  const launched = fragment.get('exc');
  if (launched !== null) {
    const to = fragment.get('to');
    history.replaceState(null, '', location.pathname + location.search + (to ? `#/${to}` : ''));
    sessionStorage.setItem(keyName, launched);
  }
  const key = () => sessionStorage.getItem(keyName);

  /** Whether this browser keeps pages from connecting elsewhere by other ways than requests: Chromium does, since 152. */
  const isClosed = () =>
    (navigator.userAgentData?.brands ?? []).some(
      ({ brand, version }) => brand === 'Chromium' && Number(version) >= 152,
    );

  const error = (code, word, message) => Object.assign(new Error(message), { code, data: { code: word } });
  const away = () => error(4900, 'unreachable', 'ExtraChain can not be reached.');
  const ended = () =>
    error(4100, 'session_ended', 'This session has ended. Open the app from ExtraChain again.');

  const listeners = new Map();
  function emit(name, value) {
    for (const listener of [...(listeners.get(name) ?? [])]) {
      // A listener that throws is the page's own concern.
      setTimeout(() => listener(value), 0);
    }
  }

  const pending = new Map();
  let count = 0;
  /** What sends, once the host has spoken; null while there is no connection. */
  let carrier = null;
  let connecting = null;
  let over = false;
  let tries = 0;

  function onMessage(text) {
    const { id, method, params, result, error: failure } = JSON.parse(text);
    if (method === 'connect') {
      if (params.key) sessionStorage.setItem(keyName, params.key);
      return emit('connect', { chainId: params.chainId });
    }
    if (method === 'disconnect') {
      over = true;
      return;
    }
    if (method === 'filesChanged' && params.reload) return location.reload();
    if (method !== undefined) return emit(method, params);
    const call = pending.get(id);
    if (!call) return;
    pending.delete(id);
    if (failure)
      call.reject(Object.assign(new Error(failure.message), { code: failure.code, data: failure.data }));
    else call.resolve(result);
  }

  function onClose() {
    carrier = null;
    connecting = null;
    const why = over ? ended() : away();
    for (const { reject } of pending.values()) reject(why);
    pending.clear();
    emit('disconnect', why);
    if (over) return;
    setTimeout(
      () => void connect().catch(() => {}),
      reconnectAfter[Math.min(tries, reconnectAfter.length - 1)],
    );
    tries += 1;
  }

  function openSocket(opened, failed) {
    const secret = key();
    if (secret === null) return failed(ended());
    const socket = new WebSocket(`ws://${location.host}/_extrachain/rpc`, [
      'extrachain.app.1',
      `token.${secret}`,
      `network.${isClosed() ? 'closed' : 'open'}`,
    ]);
    socket.onmessage = ({ data }) => {
      onMessage(data);
      opened((text) => socket.send(text));
    };
    socket.onclose = ({ code }) => {
      if (code === 4401) over = true;
      failed(over ? ended() : away());
      onClose();
    };
  }

  function openPort(opened, failed) {
    desktop.connect(
      (text) => {
        onMessage(text);
        opened((message) => desktop.send(message));
      },
      () => {
        failed(over ? ended() : away());
        onClose();
      },
    );
  }

  function connect() {
    if (carrier) return Promise.resolve();
    if (over) return Promise.reject(ended());
    connecting ??= new Promise((resolve, reject) => {
      const opened = (send) => {
        if (carrier) return;
        carrier = send;
        tries = 0;
        resolve();
      };
      (desktop ? openPort : openSocket)(opened, (why) => {
        connecting = null;
        reject(why);
      });
    });
    return connecting;
  }

  const provider = Object.freeze({
    isExtraChain: true,
    async request(call) {
      if (typeof call?.method !== 'string')
        throw error(-32602, 'invalid_argument', 'A request is {method, params}.');
      await connect();
      const id = ++count;
      const text = JSON.stringify({ jsonrpc: '2.0', id, method: call.method, params: call.params });
      return new Promise((resolve, reject) => {
        pending.set(id, { resolve, reject });
        carrier(text);
      });
    },
    on(name, listener) {
      const known = listeners.get(name) ?? new Set();
      listeners.set(name, known.add(listener));
      return provider;
    },
    removeListener(name, listener) {
      listeners.get(name)?.delete(listener);
      return provider;
    },
  });
  Object.defineProperty(window, 'extrachain', { value: provider, enumerable: true });

  const info = Object.freeze({
    uuid: '6f0d8c2e-93c6-4a57-8f5b-2d1b7c0e4a11',
    name: 'ExtraChain',
    icon: "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>",
    rdns: 'org.extrachain',
  });
  const announce = () =>
    window.dispatchEvent(
      new CustomEvent('extrachain:announceProvider', { detail: Object.freeze({ info, provider }) }),
    );
  window.addEventListener('extrachain:requestProvider', announce);
  announce();
  void connect().catch(() => {});
})();
