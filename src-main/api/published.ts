/** What the link of a drive shows of itself to anybody who has it. */
export interface PublishedDrive {
  readonly visibility: 'unlisted' | 'public';
  /** 32 bytes: what reads a public drive; null for unlisted ones, whose link carries it. */
  readonly readSecret: Uint8Array | null;
}

/**
 * Open drives as a gateway hands them to browsers: sealed, so that whoever carries the bytes reads nothing. `access` proves
 * knowledge of an unlisted link. Every drive that is not open to the asker answers `not_found`, as one that does not exist.
 */
export interface Published {
  drive(driveId: string, access: Uint8Array | null, signal: AbortSignal): Promise<PublishedDrive>;
  /** One page of a folder (32 hex characters; the root is zeros), sealed. */
  folder(
    driveId: string,
    access: Uint8Array | null,
    folder: string,
    after: string,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
  /** What is needed to fetch and open the blocks of a file, sealed. */
  file(driveId: string, access: Uint8Array | null, file: string, signal: AbortSignal): Promise<Uint8Array>;
  /** Ciphertext of one block of a file as it is now. */
  block(
    driveId: string,
    access: Uint8Array | null,
    block: { readonly file: string; readonly index: number; readonly id: string },
    signal: AbortSignal,
  ): Promise<Uint8Array>;
}
