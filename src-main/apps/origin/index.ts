export { serveApp } from './serve-app.ts';
export type { OriginDeps } from './serve-app.ts';
