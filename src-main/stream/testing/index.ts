export { startStreamNode, testStart, until } from './world.ts';
export type { StreamNode } from './world.ts';
