export { canonicalJson } from '../../../src-shared/apps/canonical-json.ts';
export { openBundle, verifyBundle } from './bundle.ts';
export type { Bundle } from './bundle.ts';
export { encodeManifest, parseBundleManifest, parseSourceManifest, rootOf } from './manifest.ts';
export { appFolder, packApp, readSourceManifest } from './pack.ts';
export type { Packed } from './pack.ts';
