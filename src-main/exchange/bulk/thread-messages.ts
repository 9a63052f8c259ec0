import type { ErrorCode } from '../../../src-shared/errors.ts';
import type { BulkAddress } from './bulk-messages.ts';

/** What the main thread tells the thread of the bulk channel. `call` and `id` are chosen by the one who says them first. */
export type ToThread =
  | {
      readonly t: 'listen';
      readonly call: number;
      readonly cert: string;
      readonly key: string;
      readonly ips: readonly string[];
    }
  | {
      readonly t: 'dial';
      readonly call: number;
      readonly host: string;
      readonly port: number;
      readonly fingerprint: Uint8Array;
      readonly token: Uint8Array;
    }
  | { readonly t: 'hangUp'; readonly call: number }
  /** The socket `id` carries frames of at most `maxFrame` bytes from now on. */
  | { readonly t: 'use'; readonly id: number; readonly maxFrame: number }
  | { readonly t: 'send'; readonly id: number; readonly parts: readonly Uint8Array[] }
  /** So many bytes of frames were taken: as many more may come. */
  | { readonly t: 'taken'; readonly id: number; readonly bytes: number }
  | { readonly t: 'close'; readonly id: number }
  | { readonly t: 'destroy'; readonly id: number };

/** An `AppError` as plain data. */
export interface ThreadError {
  readonly code: ErrorCode;
  readonly message: string;
}

/** What the thread answers and reports. */
export type FromThread =
  | { readonly t: 'listening'; readonly call: number; readonly addresses: readonly BulkAddress[] }
  | { readonly t: 'dialled'; readonly call: number; readonly id: number }
  | { readonly t: 'failed'; readonly call: number; readonly error: ThreadError }
  /** Somebody connected and showed a token. */
  | { readonly t: 'shown'; readonly id: number; readonly token: Uint8Array }
  | { readonly t: 'frame'; readonly id: number; readonly frame: Uint8Array }
  /** A frame of so many bytes was written. */
  | { readonly t: 'sent'; readonly id: number; readonly bytes: number }
  /** No frame comes any more; without an error the other side closed cleanly. */
  | { readonly t: 'ended'; readonly id: number; readonly error: ThreadError | null }
  | { readonly t: 'closed'; readonly id: number };
