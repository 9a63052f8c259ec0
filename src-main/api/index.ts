export type { ByteSource, Node, NodeEvents, NodeOptions, NodeServices } from './node-services.ts';
export { createHandlers } from './handlers.ts';
export type { HandlersOptions } from './handlers.ts';
export { createDownloads } from './downloads.ts';
export type { Download, Downloads, DownloadsOptions } from './downloads.ts';
