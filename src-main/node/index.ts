export { createNode } from './create-node.ts';
export { createLogger } from './logger.ts';
