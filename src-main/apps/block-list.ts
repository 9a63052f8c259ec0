import { z } from '../../src-shared/contract/zod.ts';
import { appId } from '../../src-shared/apps/index.ts';
import { count } from '../../src-shared/contract/common.ts';
import { readDocument, signDocument } from './signed.ts';
import type { DocumentSigner, SignedBy } from './signed.ts';

/** Apps that somebody warns of. Whoever subscribes to the list installs and opens none of them. */
const list = z.strictObject({
  title: z.string().trim().min(1).max(100),
  /** Rises with each change, so that nobody can bring back an older one. */
  number: count,
  apps: z.array(z.strictObject({ appId, reason: z.string().max(200) })).max(10_000),
});
export type BlockListFile = z.infer<typeof list>;

/** Name of the file in a public drive. */
export const blockListName = 'blocklist.json';
export const maxBlockListBytes = 4 * 1024 ** 2;

export const signBlockList = (value: BlockListFile, signer: DocumentSigner): string =>
  signDocument('block list', value, signer);

/** @throws AppError `malformed`, `bad_signature` */
export const readBlockList = (bytes: Uint8Array): { readonly payload: BlockListFile } & SignedBy =>
  readDocument('block list', bytes, list);
