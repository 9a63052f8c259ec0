/** What was freed, and what stays with why. */
export interface Freed {
  readonly files: number;
  readonly bytes: number;
  readonly kept: number;
  readonly reasons: readonly { readonly path: string; readonly message: string }[];
}

const mostReasons = 50;

/** Several answers as one; of the reasons the first. */
export function sumOf(parts: readonly Freed[]): Freed {
  return {
    files: parts.reduce((sum, one) => sum + one.files, 0),
    bytes: parts.reduce((sum, one) => sum + one.bytes, 0),
    kept: parts.reduce((sum, one) => sum + one.kept, 0),
    reasons: parts.flatMap((one) => one.reasons).slice(0, mostReasons),
  };
}
