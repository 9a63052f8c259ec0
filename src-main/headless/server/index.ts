export { createAppServer } from './app-server.ts';
export type { AppServer, AppServerOptions } from './app-server.ts';
export { apiFileName } from './api-file.ts';
export { createLoopbackServer } from './server.ts';
export type { LoopbackServer, ServerOptions } from './server.ts';
export { isLoopback } from './guard.ts';
export { maxPayload, webSocketPort } from './web-socket-port.ts';
