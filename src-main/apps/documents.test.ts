import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import { createSigner, hashOfUserId, signCard, signDeviceCertificate } from '../identity/index.ts';
import { readBlockList, signBlockList } from './block-list.ts';
import { parseBundleManifest, parseSourceManifest } from './bundle/index.ts';
import { appIdOf, hashOfAppId } from './ids.ts';
import { readRelease, signRelease } from './release.ts';
import { refuseRevoked, signDocument } from './signed.ts';
import type { DocumentSigner } from './signed.ts';

const key = () =>
  createSigner(
    generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32),
  );

/** Somebody with a device. */
function person(): DocumentSigner {
  const device = key();
  const certificate = signDeviceCertificate(key(), {
    deviceKey: device.publicKey,
    name: 'test',
    issuedAt: 1,
  });
  return { certificate, device };
}
const [ada, ben] = [person(), person()];
const adaId = ada.certificate.user;
const hash = 'ab'.repeat(32);
const source = {
  manifestVersion: 1,
  slug: 'tides',
  name: 'Tide maps',
  version: '1.0.0',
  description: 'Times.',
  icon: 'icon.svg',
  license: 'MIT',
};
const manifest = {
  ...parseSourceManifest(Buffer.from(JSON.stringify(source))),
  files: { 'index.html': { sha256: hash, size: 1 }, 'icon.svg': { sha256: hash, size: 1 } },
};
const made = { manifest, bytes: 1000, channel: 'stable', time: 5 };
const codeOf = (work: () => unknown): string => {
  try {
    work();
    return 'fine';
  } catch (error) {
    return isAppError(error) ? error.code : String(error);
  }
};
const bytes = (text: string) => Buffer.from(text);

describe('signed documents of apps', () => {
  it('count no more once the computer that signed them was taken back', () => {
    const root = key();
    const device = key();
    const certificate = signDeviceCertificate(root, {
      deviceKey: device.publicKey,
      name: 'lost',
      issuedAt: 1,
    });
    const { file } = signRelease(made, certificate.user, { certificate, device });
    const { by } = readRelease(bytes(file));
    const fields = { number: 1, encKey: new Uint8Array(32).fill(9), encKeyNumber: 0, time: 5 };
    const card = (revoked: boolean) =>
      signCard(root, {
        ...fields,
        devices: [certificate],
        revoked: revoked ? [{ deviceKey: device.publicKey, at: 4 }] : [],
      });
    expect(codeOf(() => refuseRevoked(null, by))).toBe('fine');
    expect(codeOf(() => refuseRevoked(card(false), by))).toBe('fine');
    expect(codeOf(() => refuseRevoked(card(true), by))).toBe('bad_signature');
    const other = { ...by, user: adaId };
    expect(codeOf(() => refuseRevoked(card(true), other))).toBe('fine');
  });

  it('are read as they were signed, and by nobody else’s word', () => {
    const { release, file } = signRelease(made, adaId, ada);
    const { by, ...read } = readRelease(bytes(file));
    expect(read).toEqual({ release });
    expect(by).toEqual({ user: adaId, device: ada.device.publicKey });
    expect(release.appId).toBe(appIdOf(hashOfUserId(adaId), 'tides'));
    expect(Buffer.from(hashOfAppId(release.appId))).toHaveLength(32);
    // Ben signs what says it is Ada's.
    expect(codeOf(() => readRelease(bytes(signDocument('release', release, ben))))).toBe('bad_signature');
    // Under his own name, with the id of Ada's app.
    const stolen = { ...release, publisher: ben.certificate.user };
    expect(codeOf(() => readRelease(bytes(signDocument('release', stolen, ben))))).toBe('app_id_mismatch');
    const other = { ...release, root: hash };
    expect(codeOf(() => readRelease(bytes(signDocument('release', other, ada))))).toBe('bad_hash');
    const named = { ...release, version: '2.0.0' };
    expect(codeOf(() => readRelease(bytes(signDocument('release', named, ada))))).toBe('manifest_invalid');
    // Made for another purpose.
    expect(codeOf(() => readRelease(bytes(signDocument('block list', release, ada))))).toBe('bad_signature');
    const list = { title: 'Bad apps', number: 1, apps: [{ appId: release.appId, reason: 'It mines.' }] };
    expect(readBlockList(bytes(signBlockList(list, ben)))).toMatchObject({
      payload: list,
      user: ben.certificate.user,
    });
    expect(codeOf(() => readBlockList(bytes(file)))).toMatch(/malformed/);
  });

  it('refuse anything else without a crash', () => {
    const { file } = signRelease(made, adaId, ada);
    const readers = [readRelease, readBlockList, parseBundleManifest, parseSourceManifest];
    fc.assert(
      fc.property(fc.oneof(fc.json().map(bytes), fc.uint8Array({ maxLength: 300 })), (anything) => {
        for (const read of readers) expect(codeOf(() => read(anything))).toMatch(/^[a-z_]+$/);
      }),
      { numRuns: 300 },
    );
    // Another spelling of the same signature.
    const { signature } = JSON.parse(file) as { signature: string };
    const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = digits[digits.indexOf(signature.at(-1)!) + 1]!;
    const respelt = file.replace(signature, `${signature.slice(0, -1)}${last}`);
    expect(codeOf(() => readRelease(bytes(respelt)))).toBe('malformed');
    // The file with a character changed: refused, or (in what is only layout) the same document.
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, char) => {
        const changed = file.slice(0, at) + char + file.slice(at + 1);
        const code = codeOf(() => readRelease(bytes(changed)));
        if (code === 'fine') expect(JSON.parse(changed)).toEqual(JSON.parse(file));
        else expect(code).toMatch(/^[a-z_]+$/);
      }),
      { numRuns: 300 },
    );
  });

  it('have ids that are written in one way', () => {
    const id = appIdOf(new Uint8Array(32), 'a');
    expect(hashOfAppId(id)).toHaveLength(32);
    for (const bad of ['', id.slice(1), id.toUpperCase(), `${id.slice(0, -1)}7`, `${id.slice(0, -1)}1`])
      expect(codeOf(() => hashOfAppId(bad))).toBe('invalid_argument');
  });
});
