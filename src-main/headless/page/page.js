// @ts-check
// A plain status page. The token comes in the fragment, which no browser sends anywhere, and stays in this tab's memory.

/** @type {string} */
let token = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
history.replaceState(null, '', location.pathname);
// Opening a new address with a token in a tab that shows this page changes the fragment only.
addEventListener('hashchange', () => {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given === null) return;
  token = given;
  history.replaceState(null, '', location.pathname);
  socket?.close();
});

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** @param {string} state @param {string} text */
function showConnection(state, text) {
  const line = byId('connection');
  line.dataset.state = state;
  line.textContent = text;
}

/** @param {number} bytes */
function size(bytes) {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit += 1) bytes /= 1000;
  return new Intl.NumberFormat('en', {
    style: 'unit',
    unit: units[unit],
    unitDisplay: 'short',
    maximumFractionDigits: 1,
  }).format(bytes);
}

/** @param {any} node */
function showNode(node) {
  const keystore = /** @type {Record<string, string>} */ ({
    password: 'open, protected by a password',
    unprotected: 'unprotected: who can read this computer can read the keys',
    locked: 'locked',
  });
  const rows = [
    ['User', node.userId ?? 'none yet'],
    ['Peer', node.peerId],
    ['Addresses', node.addresses.join('\n') || 'none'],
    ['Keystore', keystore[node.keystore] ?? node.keystore],
    ['Version', node.version],
  ];
  byId('node').replaceChildren(
    ...rows.flatMap(([name, value]) => {
      const term = document.createElement('dt');
      const description = document.createElement('dd');
      term.textContent = name;
      description.textContent = value;
      return [term, description];
    }),
  );
}

/** @param {string} id @param {any[][]} rows cells are texts, or `[state, text]` */
function showTable(id, rows) {
  const table = byId(id);
  table.hidden = rows.length === 0;
  byId(`no-${id}`).hidden = rows.length > 0;
  const numbers = [...table.querySelectorAll('th')].map((head) => head.className);
  table.tBodies[0].replaceChildren(
    ...rows.map((cells) => {
      const row = document.createElement('tr');
      cells.forEach((cell, index) => {
        const data = row.insertCell();
        data.className = numbers[index] ?? '';
        if (!Array.isArray(cell)) data.textContent = cell;
        else [data.dataset.state, data.textContent] = cell;
      });
      return row;
    }),
  );
}

const states = /** @type {Record<string, [string, string]>} */ ({
  scanning: ['busy', 'Looking at the folder'],
  syncing: ['busy', 'Syncing'],
  in_step: ['good', 'In step'],
  waiting: ['waiting', 'Waiting for others'],
  paused: ['waiting', 'Paused'],
  held: ['bad', 'A large delete waits for you'],
  stopped: ['bad', 'Stopped by a problem'],
});

/** @param {any[]} drives */
function showDrives(drives) {
  const rows = drives.map((drive) => [
    drive.name,
    states[drive.state] ?? ['waiting', drive.state],
    String(drive.files),
    size(drive.bytes),
    drive.folder,
  ]);
  showTable('drives', rows);
}

/** @param {any[]} peers */
function showPeers(peers) {
  const rows = peers.map((peer) => [
    peer.address || peer.peerId,
    `${peer.direction}${peer.relayed ? ', relayed' : ''}`,
    peer.rtt === null ? '–' : `${Math.round(peer.rtt)} ms`,
    size(peer.sent),
    size(peer.received),
  ]);
  showTable('peers', rows);
}

/** Puts snapshot and patches of a list together. @param {string} key @param {(items: any[]) => void} show */
function listReader(key, show) {
  /** @type {Map<string, any>} */
  let items = new Map();
  return (/** @type {any} */ item) => {
    if (item.kind === 'snapshot')
      items = new Map(item.items.map((/** @type {any} */ one) => [one[key], one]));
    else {
      for (const gone of item.remove) items.delete(gone);
      for (const one of item.put) items.set(one[key], one);
    }
    show([...items.values()]);
  };
}

/** @param {(node: any) => void} show */
function stateReader(show) {
  /** @type {any} */
  let value = {};
  return (/** @type {any} */ item) => {
    value = item.kind === 'snapshot' ? item.value : { ...value, ...item.value };
    show(value);
  };
}

/** @type {WebSocket | null} */
let socket = null;
let delay = 250;

function connect() {
  if (token === '') {
    showConnection('bad', 'Open this page with the address that the daemon printed: it holds the key.');
    setTimeout(connect, 1000);
    return;
  }
  const port = new WebSocket(`ws://${location.host}/rpc`, ['extrachain.1', `token.${token}`]);
  socket = port;
  const watches = /** @type {[string, (item: any) => void][]} */ ([
    ['node.watch', stateReader(showNode)],
    ['drives.watchList', listReader('driveId', showDrives)],
    ['net.watchPeers', listReader('peerId', showPeers)],
  ]);
  let heartbeat = 0;
  port.onopen = () => {
    delay = 250;
    showConnection('good', 'Connected');
    watches.forEach(([call], id) => port.send(JSON.stringify({ t: 'open', id, call, input: {} })));
    heartbeat = setInterval(() => port.send('{"t":"ping"}'), 15_000);
  };
  port.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.t === 'err') showConnection('bad', frame.error.message);
    if (frame.t !== 'item') return;
    watches[frame.id]?.[1](frame.value);
    port.send(JSON.stringify({ t: 'credit', id: frame.id, n: 1 }));
  };
  port.onclose = () => {
    clearInterval(heartbeat);
    showConnection('bad', 'The node does not answer. Trying again.');
    setTimeout(connect, delay);
    delay = Math.min(delay * 2, 5000);
  };
}

connect();
