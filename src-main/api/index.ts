export type {
  AppLaunch,
  ByteSource,
  Node,
  NodeEvents,
  NodeOptions,
  NodeServices,
  Upload,
} from './node-services.ts';
export type { Published, PublishedDrive } from './published.ts';
export { createHandlers } from './handlers.ts';
export type { HandlersOptions } from './handlers.ts';
export { createDownloads } from './downloads.ts';
export { previewType } from './preview-types.ts';
export { serveIngest, servePlayback } from './stream-routes.ts';
export type { Download, Downloads, DownloadsOptions, Reception } from './downloads.ts';
export { noPlatform } from './platform-services.ts';
export type { PlatformServices } from './platform-services.ts';
