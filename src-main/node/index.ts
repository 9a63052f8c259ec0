export { createNode } from './create-node.ts';
export { createLogger } from './logger.ts';
export { openRtmp } from './stream/encoder/encoder-door.ts';
