/** Numbers of the errors of a provider: EIP-1193, EIP-1474 and JSON-RPC 2.0. */
export const providerErrors = {
  /** The person said no. */
  rejected: 4001,
  /** Not granted, revoked, or beyond what was granted. */
  unauthorized: 4100,
  unknownMethod: 4200,
  /** The node is away; the provider goes on trying. */
  disconnected: 4900,
  invalidParams: -32602,
  /** Too much at once, or too large. */
  limitExceeded: -32005,
  /** Anything else; `word` says what. */
  internal: -32603,
} as const;

/** Why a request failed. */
export class AppRequestError extends Error {
  /** One of `providerErrors`. */
  readonly code: number;
  /** The word of the node (`not_found`, `underfunded`, ...), stable, for programs. */
  readonly word: string;

  constructor(code: number, word: string, message: string) {
    super(message);
    this.name = 'AppRequestError';
    this.code = code;
    this.word = word;
  }

  /** The person said no: nothing to complain about. */
  get rejected(): boolean {
    return this.code === providerErrors.rejected;
  }
}

/** Whatever a provider threw, as an `AppRequestError`. */
export function toRequestError(thrown: unknown): AppRequestError {
  if (thrown instanceof AppRequestError) return thrown;
  const { code, message, data } = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as {
    readonly code?: unknown;
    readonly message?: unknown;
    readonly data?: { readonly code?: unknown };
  };
  return new AppRequestError(
    typeof code === 'number' ? code : providerErrors.internal,
    typeof data?.code === 'string' ? data.code : 'internal',
    typeof message === 'string' ? message : String(thrown),
  );
}
