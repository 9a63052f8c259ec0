import { AppError } from '../../../src-shared/errors.ts';
import { limits } from '../types.ts';

export type PosterType = 'image/jpeg' | 'image/webp';

/** What kind of picture it is, by its first bytes; null for any other. Only kinds that can't run or load anything. */
export function posterTypeOf(bytes: Uint8Array): PosterType | null {
  const head = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  return head.startsWith('RIFF') && head.slice(8, 12) === 'WEBP' ? 'image/webp' : null;
}

/** @throws AppError `too_large`, `unsupported` */
export function checkPoster(bytes: Uint8Array): void {
  if (bytes.length > limits.posterBytes)
    throw new AppError('too_large', 'The picture of a stream has at most 64 KiB.', {
      details: { most: limits.posterBytes },
    });
  if (posterTypeOf(bytes) === null)
    throw new AppError('unsupported', 'The picture of a stream is a JPEG or a WebP.');
}
