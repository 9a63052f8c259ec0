export type * from './types.ts';
export { createNetwork } from './network.ts';
export type { NetworkDeps, NodeNetwork } from './network.ts';
export { protocolId } from './protocols.ts';
export { createFrameParser, encodeFrameLength } from './frame-parser.ts';
export type { FrameParser } from './frame-parser.ts';
export { createFramePool } from './frame-pool.ts';
