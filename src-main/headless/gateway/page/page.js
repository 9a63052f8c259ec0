import { derive, fromBase64, openAnswer, readRange, toBase64Url } from './sealed.js';

const root = '0'.repeat(32);
const textLimit = 512 * 1024;
/** What browsers may show; everything else is saved. */
const types = {
  ...{ mp4: 'video/mp4', m4v: 'video/mp4', webm: 'video/webm', mov: 'video/quicktime' },
  ...{
    mp3: 'audio/mpeg',
    m4a: 'audio/mp4',
    ogg: 'audio/ogg',
    opus: 'audio/ogg',
    wav: 'audio/wav',
    flac: 'audio/flac',
  },
  ...{
    png: 'image/png',
    jpg: 'image/jpeg',
    jpeg: 'image/jpeg',
    gif: 'image/gif',
    webp: 'image/webp',
    avif: 'image/avif',
  },
};
const texts = new Set(['txt', 'md', 'csv', 'json', 'log']);

const part = (id) => document.getElementById(id);
const files = new Map();
let drive = '';
let access = null;
let key = null;

function say(text) {
  part('message').textContent = text;
}

function element(name, text, onClick) {
  const made = document.createElement(name);
  made.textContent = text;
  if (onClick) made.addEventListener('click', onClick);
  return made;
}

async function ask(what) {
  const headers = access === null ? {} : { authorization: `Bearer ${access}` };
  const answer = await fetch(`/api/${drive}${what}`, { headers });
  if (answer.status === 404) throw new Error('There is nothing here that this link opens.');
  if (answer.status === 429) throw new Error('Too many requests; wait a little and try again.');
  if (!answer.ok) throw new Error('This cannot be had now; try again later.');
  return answer;
}

const sealedBytes = async (what) => new Uint8Array(await (await ask(what)).arrayBuffer());

function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** step).toFixed(step === 0 ? 0 : 1)} ${units[step]}`;
}

/** @param path folders from the root to the one to show */
async function showFolder(path, after = '') {
  say('');
  const { id } = path.at(-1);
  const asked = `folder ${id} ${after}`;
  const query = after === '' ? '' : `?after=${encodeURIComponent(after)}`;
  const page = await openAnswer(key, drive, asked, await sealedBytes(`/folder/${id}${query}`));
  part('name').textContent = page.drive;
  document.title = page.drive;
  part('trail').replaceChildren(
    ...path.map((folder, index) => {
      const name = index === 0 ? page.drive : folder.name;
      return element('button', `${index === 0 ? '' : '/ '}${name}`, () =>
        guard(showFolder(path.slice(0, index + 1))),
      );
    }),
  );
  const rows = page.items.map((item) => {
    const row = document.createElement('li');
    const open = () =>
      item.kind === 'dir' ? showFolder([...path, { id: item.id, name: item.name }]) : showFile(item);
    row.append(
      element('button', item.kind === 'dir' ? `${item.name}/` : item.name, () => guard(open())),
      element('span', item.kind === 'file' ? size(item.size) : ''),
    );
    return row;
  });
  if (after === '') part('files').replaceChildren(...rows);
  else part('files').append(...rows);
  part('files').hidden = false;
  part('preview').hidden = true;
  part('more').hidden = page.next === null;
  part('more').onclick = () => guard(showFolder(path, page.next));
  if (after === '' && rows.length === 0) say('This folder is empty.');
}

/** Hands what the worker needs of a file to it; returns the file's address in this browser. */
async function contentUrl(file) {
  await navigator.serviceWorker.ready;
  const worker = navigator.serviceWorker.controller ?? (await controlled());
  const token = [...crypto.getRandomValues(new Uint8Array(16))]
    .map((b) => b.toString(16).padStart(2, '0'))
    .join('');
  files.set(token, file);
  const channel = new MessageChannel();
  const kept = new Promise((resolve) => (channel.port1.onmessage = resolve));
  worker.postMessage({ t: 'file', token, file }, [channel.port2]);
  await kept;
  return `/content/${token}/${encodeURIComponent(file.name)}`;
}

function controlled() {
  return new Promise((resolve) => {
    const look = () => navigator.serviceWorker.controller && resolve(navigator.serviceWorker.controller);
    navigator.serviceWorker.addEventListener('controllerchange', look);
    look();
  });
}

async function showFile(item) {
  say('');
  const answer = await openAnswer(key, drive, `file ${item.id}`, await sealedBytes(`/file/${item.id}`));
  const ending = item.name.slice(item.name.lastIndexOf('.') + 1).toLowerCase();
  const type = types[ending] ?? null;
  const file = { ...answer, type, access, url: `/api/${drive}/block/${item.id}` };
  const url = await contentUrl(file);
  const shown = [element('h2', item.name)];
  if (type !== null) {
    const view = document.createElement(
      type.startsWith('image/') ? 'img' : type.startsWith('audio/') ? 'audio' : 'video',
    );
    view.src = url;
    if (view.tagName === 'IMG') view.alt = item.name;
    else view.controls = true;
    shown.push(view);
  } else if (texts.has(ending)) {
    const parts = [];
    for await (const bytes of readRange(file, 0, Math.min(file.size, textLimit))) parts.push(bytes);
    shown.push(element('pre', await new Blob(parts).text()));
  }
  const save = element('a', `Save ${item.name} (${size(file.size)})`);
  save.href = url;
  save.download = item.name;
  shown.push(save);
  part('preview').replaceChildren(...shown);
  part('preview').hidden = false;
}

const guard = (work) => work.catch((error) => say(error.message));

/** `extrachain://open/<drive>?...#<key>.<check>` as an address of this gateway. */
function addressOf(link) {
  const url = new URL(link.trim());
  if (url.protocol !== 'extrachain:' || url.host !== 'open') return null;
  return `/d${url.pathname}${url.hash}`;
}

async function start() {
  const found = /^\/d\/([a-z2-7]+)$/.exec(location.pathname);
  if (!found) {
    part('ask').hidden = false;
    part('ask').addEventListener('submit', (event) => {
      event.preventDefault();
      const address = URL.canParse(part('link').value.trim()) ? addressOf(part('link').value) : null;
      if (address) location.assign(address);
      else say('This is not the link of a public or unlisted drive.');
    });
    return;
  }
  if (!crypto.subtle || !navigator.serviceWorker) {
    throw new Error('This page decrypts by itself, which browsers allow over https (or on localhost) only.');
  }
  navigator.serviceWorker.addEventListener('message', (event) => {
    if (event.data?.t === 'want') event.ports[0].postMessage(files.get(event.data.token) ?? null);
  });
  await navigator.serviceWorker.register('/worker.js', { type: 'module' });
  drive = found[1];
  const [secret = ''] = location.hash.slice(1).split('.');
  const given = /^[A-Za-z0-9_-]{43}$/.test(secret) ? fromBase64(secret) : null;
  if (given) access = toBase64Url(await derive(given, 'extrachain open access v1'));
  const info = await (await ask('')).json();
  const read = info.key === null ? given : fromBase64(info.key);
  if (!read) throw new Error('The end of this link is missing.');
  key = await derive(read, 'extrachain gateway v1');
  await showFolder([{ id: root, name: '' }]);
}

addEventListener('hashchange', () => location.reload());
guard(start());
