export { canonicalJson } from './canonical-json.ts';
export { openBundle, verifyBundle } from './bundle.ts';
export type { Bundle } from './bundle.ts';
export { encodeManifest, parseBundleManifest, parseSourceManifest, rootOf } from './manifest.ts';
export { appFolder, packApp, readSourceManifest } from './pack.ts';
export type { Packed } from './pack.ts';
