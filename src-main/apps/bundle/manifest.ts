import { createHash } from 'node:crypto';
import type { z } from 'zod';
import {
  bundleLimits,
  bundleManifest,
  pathProblem,
  permissionNames,
  sourceManifest,
} from '../../../src-shared/apps/index.ts';
import type { BundleManifest, SourceManifest } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { encodeStrict } from '../../identity/index.ts';
import { canonicalJson } from '../../../src-shared/apps/canonical-json.ts';

/**
 * The manifest that an author wrote.
 * @throws AppError `manifest_invalid`, `permission_unknown`, `path_unsafe`, `too_large`
 */
export const parseSourceManifest = (bytes: Uint8Array): SourceManifest => parse(bytes, sourceManifest);

/**
 * The manifest of a bundle, in its one valid encoding.
 * @throws AppError as `parseSourceManifest`, `file_missing`
 */
export function parseBundleManifest(bytes: Uint8Array): BundleManifest {
  const manifest = parse(bytes, bundleManifest);
  if (!Buffer.from(bytes).equals(encodeManifest(manifest)))
    throw new AppError('manifest_invalid', 'The manifest of the bundle is not written as it should be.');
  return manifest;
}

/** The text of `extrachain.json` in a bundle. */
export const encodeManifest = (manifest: BundleManifest): Buffer =>
  Buffer.from(`${canonicalJson(manifest, 2)}\n`);

/** What a release is known by: SHA-256 over the strict dag-cbor of the manifest with its files. */
export const rootOf = (manifest: BundleManifest): Uint8Array =>
  new Uint8Array(createHash('sha256').update(encodeStrict(manifest)).digest());

function parse<T>(bytes: Uint8Array, schema: z.ZodType<T>): T {
  if (bytes.length > bundleLimits.manifestBytes)
    throw new AppError('too_large', `A manifest has at most ${bundleLimits.manifestBytes} bytes.`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new AppError('manifest_invalid', `The manifest is not JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw fault(json, parsed.error);
}

/** The first thing that is wrong, under its own code where it has one. */
function fault(json: unknown, error: z.ZodError): AppError {
  const { permissions, files } = (json ?? {}) as {
    permissions?: Record<string, unknown>;
    files?: Record<string, { size?: unknown }>;
  };
  for (const wishes of [permissions?.['required'], permissions?.['optional']]) {
    for (const wish of Array.isArray(wishes) ? (wishes as unknown[]) : []) {
      const name = typeof wish === 'object' && wish !== null ? (wish as { name?: unknown }).name : wish;
      if (typeof name === 'string' && !(permissionNames as readonly string[]).includes(name)) {
        return new AppError('permission_unknown', `There is no permission ${name.slice(0, 80)}.`, {
          details: { permission: name.slice(0, 80) },
        });
      }
    }
  }
  if (typeof files === 'object' && files !== null) {
    for (const path of Object.keys(files)) {
      const message = pathProblem(path);
      if (message) return new AppError('path_unsafe', message, { details: { path: path.slice(0, 300) } });
    }
  }
  const issue = error.issues[0]!;
  const at = issue.path.join('.');
  const message = `The manifest is not valid${at === '' ? '' : ` at ${at.slice(0, 200)}`}: ${issue.message}`;
  const details = { at: at.slice(0, 300) };
  if (issue.message.startsWith('There is no file'))
    return new AppError('file_missing', issue.message, { details });
  if (/differ by case alone|is a file and a folder/.test(issue.message))
    return new AppError('path_unsafe', issue.message, { details });
  if (
    (issue.code === 'too_big' && issue.path[0] === 'files') ||
    /^(?:More than|The files are larger)/.test(issue.message)
  )
    return new AppError('too_large', message, { details });
  return new AppError('manifest_invalid', message, { details });
}
