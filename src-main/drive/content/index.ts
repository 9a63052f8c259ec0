export type * from './types.ts';
export type { VirtualFs } from './fs.ts';
export { createContentIo, type ContentIoOptions } from './content-io.ts';
export { createInlineContentIo } from './inline-io.ts';
export { cloneFile } from './clone-file.ts';
export { inlineLimit, minBlockSize, maxBlockSize, blockSizeFor } from './ladder.ts';
export { padme } from './padme.ts';
export { blockKey, openBlock, sealBlock, sealedLength, sha256 } from './block.ts';
export { isExecutable, sameStamp, stampOf, mtimeOf, utimesSeconds } from './stamp.ts';
