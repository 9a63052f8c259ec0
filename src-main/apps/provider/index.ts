export { connectApp, connectionLimits } from './connection.ts';
export type { AppConnection } from './connection.ts';
export { messageDomain, signedBytes } from './handlers/accounts.ts';
export { createAppHandlers } from './handlers/index.ts';
export type {
  AppBytes,
  AppHandlers,
  AppNode,
  Call,
  HandlerDeps,
  HostedApp,
  Ingesting,
  Playing,
} from './types.ts';
