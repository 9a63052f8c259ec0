export type * from './types.ts';
export { createNetwork } from './network.ts';
export type { NetworkDeps, NodeNetwork } from './network.ts';
export { protocolId } from './protocols.ts';
export { createShaper } from './shaper.ts';
export type { Shaper } from './shaper.ts';
