import { AppError } from '../../../src-shared/errors.ts';

export const maxNameBytes = 255;

/** True for a name a node may have: NFC, 1..255 bytes of UTF-8, no `/` or NUL, well-formed, not `.` or `..`. */
export function isName(name: string): boolean {
  if (name === '' || name === '.' || name === '..') return false;
  const bytes = Buffer.byteLength(name);
  if (bytes > maxNameBytes) return false;
  if (name.includes('/') || name.includes('\0')) return false;
  if (bytes === name.length) return true; // plain ASCII needs no normal form
  return name.isWellFormed() && name.normalize('NFC') === name;
}

/** @throws AppError `invalid_argument` for what `isName` refuses */
export function checkName(name: string): void {
  if (!isName(name)) {
    throw new AppError('invalid_argument', 'This name cannot be used in a drive.', { details: { name } });
  }
}

/** The longest start of `text` that has at most `bytes` bytes of UTF-8 and cuts no character. */
function cut(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  let out = '';
  let used = 0;
  for (const char of text) {
    used += Buffer.byteLength(char);
    if (used > bytes) break;
    out += char;
  }
  return out.normalize('NFC').trimEnd();
}

/**
 * The name a copy gets that cannot have `name`: `stem (conflict YYYY-MM-DD HHMM Device).ext`, time in UTC; shortened in the
 * stem so that it stays a valid name.
 * @param time ms, of the losing version
 * @param suffix further distinction inside the parentheses, '' for none
 */
export function conflictName(name: string, time: number, device: string, suffix: string): string {
  const iso = new Date(time).toISOString();
  const stamp = `${iso.slice(0, 10)} ${iso.slice(11, 13)}${iso.slice(14, 16)}`;
  const clean =
    cut(
      device
        .normalize('NFC')
        .replace(/[/\0\p{Cc}]/gu, '')
        .trim(),
      60,
    ) || 'unknown';
  const label = ` (conflict ${stamp} ${clean}${suffix === '' ? '' : ` ${suffix}`})`;
  const dot = name.lastIndexOf('.');
  let ext = dot > 0 ? name.slice(dot) : '';
  if (Buffer.byteLength(ext) > 32) ext = '';
  const stem = ext === '' ? name : name.slice(0, dot);
  const room = maxNameBytes - Buffer.byteLength(label) - Buffer.byteLength(ext);
  return `${cut(stem, room)}${label}${ext}`.normalize('NFC');
}
