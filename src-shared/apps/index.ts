export { disclosureNames } from './disclosures.ts';
export type { Disclosure } from './disclosures.ts';
export {
  appId,
  appIdDomain,
  appIdPattern,
  appVersion,
  category,
  categoryPattern,
  channel,
  channelPattern,
  compareVersions,
  defaultChannel,
  slug,
  slugPattern,
  versionPattern,
} from './ids.ts';
export { bundleLimits } from './limits.ts';
export {
  bundleManifest,
  manifestName,
  pathProblem,
  pathsProblem,
  reservedPath,
  sourceManifest,
} from './manifest.ts';
export type { AnswerRule, BundleManifest, ServiceAnswers, SourceManifest } from './manifest.ts';
export {
  caveats,
  caveatsOf,
  grant,
  grownPermissions,
  isAboutFolder,
  isInside,
  isWithin,
  permissionName,
  permissionNames,
  permissionRequest,
} from './permissions.ts';
export type { Caveats, Grant, PermissionName, PermissionRequest } from './permissions.ts';
