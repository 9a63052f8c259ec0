export { blockListName, maxBlockListBytes, readBlockList, signBlockList } from './block-list.ts';
export type { BlockListFile } from './block-list.ts';
export {
  appFolder,
  canonicalJson,
  encodeManifest,
  openBundle,
  packApp,
  parseBundleManifest,
  parseSourceManifest,
  readSourceManifest,
  rootOf,
  verifyBundle,
} from './bundle/index.ts';
export type { Bundle, Packed } from './bundle/index.ts';
export { appIdOf, appIdOfHash, hashOfAppId } from './ids.ts';
export { createInstalls } from './installs/installs.ts';
export type { InstallEvents, Installs, Origin } from './installs/installs.ts';
export type { BlockListRecord, InstallRecord, InstallSource } from './installs/records.ts';
export { maxReleaseBytes, readRelease, releasePlaces, signRelease } from './release.ts';
export type { Release } from './release.ts';
export { refuseRevoked } from './signed.ts';
export type { DocumentSigner, SignedBy } from './signed.ts';
export { shippedPublisher } from './ids.ts';
export { createAppHost } from './host.ts';
export type { AppHost, AppHostDeps, Confinement } from './host.ts';
export { createPermissionRecords, folderHandle } from './permissions/index.ts';
export type { PermissionRecords } from './permissions/index.ts';
export { connectionLimits, signedBytes } from './provider/index.ts';
export type { AppBytes, AppHandlers, AppNode, Call, HandlerDeps, HostedApp } from './provider/index.ts';
export { parseSignIn, signInText } from './sessions/index.ts';
export type { Session, SignIn } from './sessions/index.ts';
export * from './collections/index.ts';
export * from './messages/index.ts';
export * from './services/index.ts';
