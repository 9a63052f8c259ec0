export { startRealNode } from './real-network.ts';
export type { RealNode } from './real-network.ts';
