import { icon } from './icons.js';
import { derive, fromBase64, openAnswer, readRange, toBase64Url } from './sealed.js';
import { day, language, size, words } from './words.js';

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

function button(text, onClick, kind = '') {
  const made = element('button', text, onClick);
  made.type = 'button';
  if (kind !== '') made.className = kind;
  return made;
}

async function ask(what) {
  const headers = access === null ? {} : { authorization: `Bearer ${access}` };
  const answer = await fetch(`/api/${drive}${what}`, { headers });
  if (answer.status === 404) throw new Error(access === null ? words.incomplete : words.nothing);
  if (answer.status === 429) throw new Error(words.busy);
  if (!answer.ok) throw new Error(words.later);
  return answer;
}

const sealedBytes = async (what) => new Uint8Array(await (await ask(what)).arrayBuffer());

function closePreview() {
  part('preview').hidden = true;
  part('preview').replaceChildren();
  for (const row of document.querySelectorAll('li[aria-current]')) row.removeAttribute('aria-current');
}

/** Folders first, then by name as people sort. */
function forPeople(a, b) {
  const folders = Number(b.kind === 'dir') - Number(a.kind === 'dir');
  return folders || a.name.localeCompare(b.name, navigator.language, { numeric: true });
}

/** @param path folders from the root to the one to show */
function trail(path, name) {
  part('trail').hidden = path.length < 2;
  part('trail').replaceChildren(
    ...path.map((folder, index) => {
      const text = index === 0 ? name : folder.name;
      if (index < path.length - 1) return button(text, () => guard(showFolder(path.slice(0, index + 1))));
      const here = element('span', text);
      here.setAttribute('aria-current', 'page');
      return here;
    }),
  );
}

async function showFolder(path, after = '') {
  const { id } = path.at(-1);
  const asked = `folder ${id} ${after}`;
  const query = after === '' ? '' : `?after=${encodeURIComponent(after)}`;
  const page = await openAnswer(key, drive, asked, await sealedBytes(`/folder/${id}${query}`));
  say('');
  part('name').textContent = path.length === 1 ? page.drive : path.at(-1).name;
  document.title = page.drive;
  trail(path, page.drive);
  // Of a long folder parts come one after another, as they are ordered there.
  const items = after === '' && page.next === null ? page.items.toSorted(forPeople) : page.items;
  const rows = items.map((item) => {
    const row = document.createElement('li');
    const open = () =>
      item.kind === 'dir' ? showFolder([...path, { id: item.id, name: item.name }]) : showFile(item, row);
    const changed = element('span', item.kind === 'file' ? day(item.mtime) : '');
    changed.className = 'changed';
    row.append(
      icon(item.name, item.kind === 'dir'),
      button(item.name, () => guard(open())),
      changed,
      element('span', item.kind === 'file' ? size(item.size) : ''),
    );
    return row;
  });
  if (after === '') {
    part('files').replaceChildren(...rows);
    closePreview();
  } else part('files').append(...rows);
  part('files').hidden = part('files').children.length === 0;
  part('more').hidden = page.next === null;
  part('more').onclick = () => guard(showFolder(path, page.next));
  if (after === '' && rows.length === 0) say(words.empty);
  // Who went there by the keyboard is told where that is.
  if (after === '' && path.length > 1) part('name').focus();
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

/** What is to be seen of a file, below its name. */
async function viewOf(item, file, url) {
  if (file.type !== null) {
    const kind = file.type.slice(0, file.type.indexOf('/'));
    const view = document.createElement(kind === 'image' ? 'img' : kind);
    view.addEventListener('error', () => view.replaceWith(element('p', words.broken)), { once: true });
    view.src = url;
    if (kind === 'image') view.alt = item.name;
    else view.controls = true;
    return [view];
  }
  if (!texts.has(endingOf(item.name))) return [element('p', words.notShown)];
  const parts = [];
  for await (const bytes of readRange(file, 0, Math.min(file.size, textLimit))) parts.push(bytes);
  const shown = [element('pre', await new Blob(parts).text())];
  shown[0].tabIndex = 0;
  if (file.size > textLimit) shown.push(element('p', words.cut));
  return shown;
}

const endingOf = (name) => name.slice(name.lastIndexOf('.') + 1).toLowerCase();

async function showFile(item, row) {
  say('');
  closePreview();
  row.setAttribute('aria-current', 'true');
  const answer = await openAnswer(key, drive, `file ${item.id}`, await sealedBytes(`/file/${item.id}`));
  const type = types[endingOf(item.name)] ?? null;
  const file = { ...answer, type, access, url: `/api/${drive}/block/${item.id}` };
  const url = await contentUrl(file);
  const save = element('a', words.saveShort);
  save.className = 'main act';
  save.setAttribute('aria-label', words.save(item.name, size(file.size)));
  save.href = url;
  save.download = item.name;
  const head = document.createElement('header');
  head.append(element('h2', item.name), save, button(words.close, closePreview, 'act'));
  const view = await viewOf(item, file, url);
  // Another one was opened meanwhile.
  if (!row.hasAttribute('aria-current')) return;
  part('preview').replaceChildren(head, ...view);
  part('preview').hidden = false;
  part('preview').scrollIntoView({ block: 'start' });
}

const guard = (work) => work.catch((error) => say(error.message));

/** `extrachain://open/<drive>?...#<key>.<check>` as an address of this gateway. */
function addressOf(link) {
  const url = new URL(link.trim());
  if (url.protocol !== 'extrachain:' || url.host !== 'open') return null;
  return `/d${url.pathname}${url.hash}`;
}

function label() {
  document.documentElement.lang = language;
  document.querySelector('label').textContent = words.label;
  document.querySelector('#ask button').textContent = words.open;
  part('more').textContent = words.more;
  part('trail').setAttribute('aria-label', words.folders);
  part('preview').setAttribute('aria-label', words.preview);
  part('note').textContent = words.note;
}

async function start() {
  label();
  const found = /^\/d\/([a-z2-7]+)$/.exec(location.pathname);
  if (!found) {
    part('name').textContent = words.title;
    part('ask').hidden = false;
    part('ask').addEventListener('submit', (event) => {
      event.preventDefault();
      const address = URL.canParse(part('link').value.trim()) ? addressOf(part('link').value) : null;
      if (address) location.assign(address);
      else say(words.noLink);
    });
    return;
  }
  say(words.loading);
  if (!crypto.subtle || !navigator.serviceWorker) throw new Error(words.insecure);
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
  if (!read) throw new Error(words.incomplete);
  key = await derive(read, 'extrachain gateway v1');
  part('openness').textContent = words[info.visibility];
  part('openness').hidden = false;
  await showFolder([{ id: root, name: '' }]);
}

addEventListener('hashchange', () => location.reload());
guard(start());
