export { createMempool, defaultMempoolLimits } from './mempool.ts';
export type { Mempool, MempoolLimits } from './mempool.ts';
