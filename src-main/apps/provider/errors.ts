import type { ErrorCode } from '../../../src-shared/errors.ts';
import { AppError } from '../../../src-shared/errors.ts';

/** An error as a provider gives it (EIP-1193). `data.code` is our word for it. */
export interface ProviderError {
  readonly code: number;
  readonly message: string;
  readonly data: { readonly code: string };
}

const numbers: Partial<Record<ErrorCode, number>> = {
  rejected: 4001,
  not_granted: 4100,
  session_ended: 4100,
  method_unknown: 4200,
  keystore_locked: 4900,
  no_identity: 4900,
  shutting_down: 4900,
  cancelled: 4900,
  invalid_argument: -32602,
  malformed: -32602,
  too_large: -32005,
  rate_limited: -32005,
};

/** What an app is told of a failure: never more than a sentence, and nothing of what went wrong inside. */
export function toProviderError(error: unknown): ProviderError {
  if (!(error instanceof AppError)) {
    return {
      code: -32603,
      message: 'Something went wrong inside the node.',
      data: { code: 'internal' },
    };
  }
  return { code: numbers[error.code] ?? -32603, message: error.message, data: { code: error.code } };
}
