// Icons of files and folders, as in the application.

const space = 'http://www.w3.org/2000/svg';
const kinds = [
  ['#3f8f74', ['png', 'jpg', 'jpeg', 'gif', 'webp', 'avif', 'svg', 'heic']],
  ['#3b6fc0', ['mp4', 'm4v', 'webm', 'mov', 'mkv', 'avi']],
  ['#8a4fa8', ['mp3', 'm4a', 'ogg', 'opus', 'wav', 'flac']],
  ['#c23b32', ['pdf']],
  ['#1d7a45', ['csv', 'xls', 'xlsx', 'ods']],
  ['#97691a', ['zip', 'gz', '7z', 'rar', 'tar', 'zst']],
];

function shape(name, attributes) {
  const made = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** @param {string} name of the file or folder */
export function icon(name, isFolder) {
  const made = shape('svg', { viewBox: '0 0 24 24', width: '24', height: '24', 'aria-hidden': 'true' });
  if (isFolder) {
    const back =
      'M3 7.2A2.2 2.2 0 0 1 5.2 5h3.5c.5 0 1 .2 1.4.5l1.5 1.3h7.2A2.2 2.2 0 0 1 21 9v8.8a2.2 2.2 0 0 1-2.2 2.2H5.2A2.2 2.2 0 0 1 3 17.8z';
    const front = 'M3 10.5h18v7.3a2.2 2.2 0 0 1-2.2 2.2H5.2A2.2 2.2 0 0 1 3 17.8z';
    made.append(shape('path', { d: back, fill: '#4a7bd0' }), shape('path', { d: front, fill: '#6794e2' }));
    return made;
  }
  const paper = 'M6.5 2.5h7.7l4.3 4.3v12.7a2 2 0 0 1-2 2h-10a2 2 0 0 1-2-2v-15a2 2 0 0 1 2-2z';
  made.append(shape('path', { d: paper, class: 'paper' }));
  const dot = name.lastIndexOf('.');
  const ending = dot > 0 ? name.slice(dot + 1).toLowerCase() : '';
  if (ending === '' || ending.length > 4) return made;
  const fill = kinds.find(([, endings]) => endings.includes(ending))?.[0] ?? '#667081';
  const text = shape('text', {
    x: '11.5',
    y: '16.9',
    'text-anchor': 'middle',
    'font-size': ending.length > 3 ? '4.4' : '5.4',
    'font-weight': '600',
    fill: '#fff',
  });
  text.textContent = ending.toUpperCase();
  made.append(shape('rect', { x: '3', y: '11.5', width: '17', height: '7', rx: '1.5', fill }), text);
  return made;
}
