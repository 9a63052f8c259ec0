export type FileKind = 'image' | 'video' | 'audio' | 'pdf' | 'text' | 'code' | 'sheet' | 'archive' | 'other';

const kinds: Readonly<Record<Exclude<FileKind, 'other'>, string>> = {
  image: 'png jpg jpeg gif webp avif bmp ico svg',
  video: 'mp4 m4v webm ogv mov',
  audio: 'mp3 m4a aac ogg oga opus wav flac',
  pdf: 'pdf',
  text: 'txt md markdown log csv tsv rst tex srt ini cfg conf',
  code: 'js mjs cjs ts tsx jsx json yaml yml toml xml html htm css scss vue py rb go rs c h cpp hpp java kt swift sh bash sql php lua pl r dart cs diff patch',
  sheet: 'xls xlsx ods',
  archive: 'zip tar gz tgz bz2 xz 7z rar zst',
};
const byExtension = new Map(
  Object.entries(kinds).flatMap(([kind, list]) => list.split(' ').map((end) => [end, kind as FileKind])),
);

/** What a file is, by the end of its name: enough to choose an icon and a viewer. */
export function kindOf(name: string): FileKind {
  const dot = name.lastIndexOf('.');
  return (dot >= 0 && byExtension.get(name.slice(dot + 1).toLowerCase())) || 'other';
}
