import type { UnfinishedUpload } from '../../src-shared/contract/index.ts';
import { AppError, errorCodes } from '../../src-shared/errors.ts';
import type { ErrorCode } from '../../src-shared/errors.ts';

const mib = 1024 * 1024;
/** Bytes sent in one request: so much is sent again at most when a connection breaks, someone pauses or the window closes. */
const partBytes = (size: number): number => (size <= 8 * mib ? mib : 8 * mib);

export interface SendOptions {
  readonly url: string;
  readonly file: File;
  /** Bytes the node has already. */
  readonly from: number;
  /** Bytes sent so far, of the whole file. */
  readonly onProgress: (done: number) => void;
  /** Aborted: stops within the part; `uploaded` tells how much of it arrived. */
  readonly signal: AbortSignal;
}

/**
 * Sends a file to a URL of the node, in parts.
 * @throws AppError what the node refused it with; `unreachable` when the connection broke; `cancelled` when aborted
 */
export async function sendFile({ url, file, from, onProgress, signal }: SendOptions): Promise<void> {
  if (!resumable(file) && from === 0) return put(url, file, {}, signal, onProgress);
  for (let at = from; at < file.size;) {
    const end = Math.min(file.size, at + partBytes(file.size));
    const start = at;
    const range = `bytes ${start}-${end - 1}/${file.size}`;
    await put(url, file.slice(start, end), { 'content-range': range }, signal, (done) =>
      onProgress(start + done),
    );
    at = end;
  }
}

/** Whether a file is sent in parts, so that it can go on after the window was closed. */
export const resumable = (file: File): boolean => file.size > mib;

/** Bytes of an upload that the node has; null when it has given it up. */
export async function uploaded(url: string): Promise<number | null> {
  const response = await fetch(url, { method: 'HEAD' });
  const offset = response.headers.get('upload-offset');
  return response.ok && offset !== null ? Number(offset) : null;
}

/** So much of the end of what arrived is compared, as the contract says. */
const tailBytes = 65_536;

/**
 * Whether a file is the one that an unfinished upload is of: by size, time of change, and the last bytes that arrived.
 * @returns what differs; null: it is the same
 */
export async function differenceOf(
  { size, modified, received, tail }: UnfinishedUpload,
  file: File,
): Promise<'size' | 'content' | null> {
  if (file.size !== size) return 'size';
  if (modified !== null && Date.parse(modified) !== file.lastModified) return 'content';
  const end = await file.slice(Math.max(0, received - tailBytes), received).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', end));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex === tail ? null : 'content';
}

/** Tells the node that no more will come; works while the window closes. */
export function giveUpUpload(url: string): void {
  void fetch(url, { method: 'DELETE', keepalive: true }).catch(() => {});
}

/** Fetch tells nothing of what has been sent; XMLHttpRequest does. */
function put(
  url: string,
  body: Blob,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  onProgress: (done: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    const cancelled = () => reject(new AppError('cancelled', 'Cancelled.'));
    if (signal.aborted) return cancelled();
    signal.addEventListener('abort', abort, { once: true });
    request.open('PUT', url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener('progress', (event) => onProgress(event.loaded));
    request.addEventListener('load', () => {
      if (request.status >= 200 && request.status < 300) resolve();
      else reject(refusalOf(request));
    });
    request.addEventListener('error', () =>
      reject(new AppError('unreachable', 'The connection broke while this file was being sent.')),
    );
    request.addEventListener('abort', cancelled);
    request.addEventListener('loadend', () => signal.removeEventListener('abort', abort));
    request.send(body);
  });
}

function refusalOf(request: XMLHttpRequest): AppError {
  const code = request.getResponseHeader('error-code') ?? '';
  const text = request.responseText.replace(/^[a-z_]+: /, '').trim();
  if (code === '' && (request.status === 404 || request.status === 409 || request.status === 499))
    return new AppError('unreachable', 'The connection broke while this file was being sent.');
  const known = (errorCodes as readonly string[]).includes(code) ? (code as ErrorCode) : 'internal';
  return new AppError(known, text || 'It was refused.');
}
