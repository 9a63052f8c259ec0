/** Bounds of a bundle. */
export const bundleLimits = {
  /** Of all files together, bytes. */
  bytes: 100 * 1024 ** 2,
  /** Of one file. */
  fileBytes: 50 * 1024 ** 2,
  files: 5000,
  /** Of a path, UTF-8 bytes. */
  path: 240,
  /** Of the manifest with its files. */
  manifestBytes: 2 * 1024 ** 2,
} as const;
