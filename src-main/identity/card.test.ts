import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import {
  cardDevices,
  cleanName,
  decodeCard,
  decodeDeviceCertificate,
  encodeCard,
  encodeDeviceCertificate,
  maxCardBytes,
  maxCertificateBytes,
  maxDevices,
  openCard,
  replacesCard,
  signCard,
  signDeviceCertificate,
  verifyCard,
  verifyDeviceCertificate,
} from './card.ts';
import { deviceIdOf, deviceKeyOf, parseUserId, userIdOf } from './ids.ts';
import { x25519Public } from './primitives.ts';
import { createSigner } from './signature.ts';
import { decodeStrict, encodeStrict } from './strict-cbor.ts';
import { seededRandom } from './test-world.ts';
import type { ActorCard, DeviceCertificate } from './types.ts';

const failing = (code: string): object => expect.objectContaining({ name: 'AppError', code });
const random = seededRandom('card');
const root = createSigner(random(32));
const newDevice = (): Uint8Array => createSigner(random(32)).publicKey;
const certify = (deviceKey: Uint8Array, name = 'Laptop', by = root): DeviceCertificate =>
  signDeviceCertificate(by, { deviceKey, name, issuedAt: 5 });
const [laptop, phone, lost] = [newDevice(), newDevice(), newDevice()] as const;
const encKey = x25519Public(random(32));
const fields = {
  number: 3,
  encKey,
  encKeyNumber: 2,
  devices: [certify(laptop), certify(phone, 'Téléphone 📱')],
  revoked: [{ deviceKey: lost, at: 7 }],
  time: 1000,
};
const card = signCard(root, fields);

/** Signs any body as if it were a card, to reach the checks behind the signature. */
function forge(change: (body: Record<string, unknown>) => void): Uint8Array {
  const [body] = decodeStrict(encodeCard(card), maxCardBytes, 'test') as [Uint8Array];
  const map = decodeStrict(body, maxCardBytes, 'test') as Record<string, unknown>;
  change(map);
  const forged = encodeStrict(map);
  return encodeStrict([forged, root.sign(Buffer.concat([Buffer.from('extrachain card v1\0'), forged]))]);
}

describe('cards', () => {
  it('come back as they were', () => {
    const opened = openCard(encodeCard(card));
    expect(opened).toEqual(card);
    expect(opened.user).toBe(userIdOf(root.publicKey));
    const devices = cardDevices(opened);
    expect([laptop, phone, lost].map(devices.has)).toEqual([true, true, false]);
    expect(devices.revokedAt(lost)).toBe(7);
    expect(devices.revokedAt(laptop)).toBe(null);
    expect(devices.certificate(phone)?.name).toBe('Téléphone 📱');
    expect(forge(() => {})).toEqual(encodeCard(card));
  });

  it('refuse any flipped bit of their bytes', () => {
    const bytes = encodeCard(card);
    const codes = new Set<string>();
    for (let i = 0; i < bytes.length; i++) {
      const bad = bytes.slice();
      bad[i]! ^= 1 << (i % 8);
      try {
        openCard(bad);
        expect.unreachable(`byte ${i}`);
      } catch (error) {
        codes.add(isAppError(error) ? error.code : `crash at byte ${i}: ${String(error)}`);
      }
    }
    expect([...codes].sort()).toEqual(['bad_signature', 'malformed']);
  });

  it('refuse other encodings of the same content', () => {
    const bytes = encodeCard(card);
    expect(() => openCard(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(failing('malformed'));
    // An array of two with an indefinite length, and with its length in the long form.
    for (const head of [[0x9f], [0x98, 0x02]]) {
      const tail = head[0] === 0x9f ? [0xff] : [];
      expect(() => openCard(Buffer.concat([Buffer.from(head), bytes.slice(1), Buffer.from(tail)]))).toThrow(
        failing('malformed'),
      );
    }
  });

  const stranger = createSigner(random(32));
  const nothing = new Uint8Array(32);
  const cases: readonly [string, (body: Record<string, unknown>) => void][] = [
    ['a version to come', (b) => (b['v'] = 2)],
    ['a missing field', (b) => delete b['time']],
    ['a field too many', (b) => (b['x'] = 1)],
    ['number 0', (b) => (b['number'] = 0)],
    ['a fraction', (b) => (b['number'] = 1.5)],
    ['a negative time', (b) => (b['time'] = -1)],
    ['a key number beyond derivation', (b) => (b['encKeyNumber'] = 2 ** 31)],
    ['an encryption key of small order', (b) => (b['encKey'] = nothing)],
    ['a short encryption key', (b) => (b['encKey'] = encKey.slice(1))],
    ['a root key of small order', (b) => (b['rootKey'] = nothing)],
    ['devices out of order', (b) => (b['devices'] as unknown[]).reverse()],
    [
      'a device twice',
      (b) => (b['devices'] = [(b['devices'] as unknown[])[0], (b['devices'] as unknown[])[0]]),
    ],
    [
      'a device of someone else',
      (b) => (b['devices'] = [encodeDeviceCertificate(certify(phone, 'x', stranger))]),
    ],
    ['a device revoked and certified', (b) => (b['revoked'] = [[laptop, 1]])],
    ['a device that is no certificate', (b) => (b['devices'] = ['laptop'])],
    ['a revocation with no time', (b) => (b['revoked'] = [[lost]])],
    ['revocations that are no list', (b) => (b['revoked'] = { 0: 1 })],
    ['too many revocations', (b) => (b['revoked'] = Array.from({ length: 1025 }, () => [lost, 1]))],
  ];
  it.each(cases)('refuse %s, rightly signed', (_name, change) => {
    expect(() => openCard(forge(change))).toThrow(failing('malformed'));
  });

  it('are bounded', () => {
    expect(() => openCard(new Uint8Array(maxCardBytes + 1))).toThrow(failing('too_large'));
    const cert = certify(laptop);
    const many = Array.from({ length: maxDevices + 1 }, () => ({ ...cert, deviceKey: newDevice() }));
    expect(() => signCard(root, { ...fields, devices: many })).toThrow(failing('too_large'));
    const long = many.slice(1).map((each) => certify(each.deviceKey, '📱'.repeat(64)));
    const full = signCard(root, { ...fields, devices: long });
    expect(encodeCard(full).length).toBeLessThan(maxCardBytes);
    expect(openCard(encodeCard(full)).devices).toHaveLength(maxDevices);
  });

  it('leave out a device that is revoked', () => {
    const next = signCard(root, { ...fields, revoked: [...fields.revoked, { deviceKey: phone, at: 9 }] });
    expect(cardDevices(next).has(phone)).toBe(false);
    expect(next.devices).toHaveLength(1);
    expect(verifyCard(next)).toBe(true);
  });

  it('follow one another by number, and by signature at one number', () => {
    const older = signCard(root, { ...fields, number: 2 });
    const twin = signCard(root, { ...fields, time: 1001 });
    expect(replacesCard(card, older)).toBe(true);
    expect(replacesCard(older, card)).toBe(false);
    expect(replacesCard(card, twin)).toBe(!replacesCard(twin, card));
    expect(replacesCard(card, card)).toBe(false);
  });

  it('do not verify for another user', () => {
    const liar: ActorCard = { ...card, user: userIdOf(stranger.publicKey) };
    expect(verifyCard(liar)).toBe(false);
  });

  it('survive any bytes', () => {
    const bytes = encodeCard(card);
    const spliced = fc
      .tuple(fc.nat(bytes.length), fc.nat(40), fc.uint8Array({ maxLength: 40 }))
      .map(([at, remove, insert]) => Buffer.concat([bytes.slice(0, at), insert, bytes.slice(at + remove)]));
    const cbor = fc.jsonValue().map((value) => encodeStrict(value));
    const nested = fc.nat(20_000).map((depth) => new Uint8Array(depth).fill(0x81));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), spliced, cbor, nested), (input) => {
        for (const decode of [decodeCard, decodeDeviceCertificate]) {
          try {
            const decoded = decode(input);
            // Whatever decodes has exactly these bytes.
            const again = 'devices' in decoded ? encodeCard(decoded) : encodeDeviceCertificate(decoded);
            expect(Buffer.compare(again, input)).toBe(0);
          } catch (error) {
            if (!isAppError(error, 'malformed') && !isAppError(error, 'too_large')) throw error;
          }
        }
      }),
      { seed: 3, numRuns: 2000 },
    );
  });
});

describe('device certificates', () => {
  it('come back as they were, and verify', () => {
    const cert = certify(phone, 'Téléphone');
    const decoded = decodeDeviceCertificate(encodeDeviceCertificate(cert));
    expect(decoded).toEqual(cert);
    expect(verifyDeviceCertificate(decoded)).toBe(true);
    for (const lie of [{ name: 'Other' }, { deviceKey: laptop }, { issuedAt: 6 }, { user: 'exc1' }]) {
      expect(verifyDeviceCertificate({ ...cert, ...lie })).toBe(false);
    }
    expect(() => decodeDeviceCertificate(new Uint8Array(maxCertificateBytes + 1))).toThrow(
      failing('too_large'),
    );
  });

  it('carry names that look like what they are', () => {
    expect(cleanName('  Cafe\u0301 ')).toBe('Caf\u00e9');
    for (const bad of ['', ' ', 'a\nb', 'a\u202eb', 'a\u0000', 'x'.repeat(65), 'a\u200bb']) {
      expect(() => cleanName(bad)).toThrow(failing('invalid_argument'));
    }
    expect(() => certify(new Uint8Array(32))).toThrow(failing('invalid_argument'));
  });
});

describe('ids', () => {
  it('user ids have one form and a checksum', () => {
    const user = card.user;
    expect(user).toMatch(/^exc1[02-9ac-hj-np-z]{58}$/);
    expect(parseUserId(` ${user.toUpperCase()}\n`)).toBe(user);
    for (let i = 4; i < user.length; i++) {
      const typo = user.slice(0, i) + (user[i] === 'q' ? 'p' : 'q') + user.slice(i + 1);
      expect(() => parseUserId(typo)).toThrow(failing('invalid_argument'));
    }
    for (const bad of ['', 'exc1', 'x'.repeat(200), user.replace('exc1', 'bc1')]) {
      expect(() => parseUserId(bad)).toThrow(failing('invalid_argument'));
    }
  });

  it('device ids hold the device key', () => {
    expect(deviceKeyOf(deviceIdOf(laptop))).toEqual(laptop);
    const others = [
      '',
      'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N', // RSA
      '16Uiu2HAmPLe7Mzm8TsYUubgCAW1aJoeFScxrLj8ppHFivPo97bUZ', // secp256k1
      deviceIdOf(laptop).slice(0, -1),
    ];
    for (const other of others) expect(() => deviceKeyOf(other)).toThrow(failing('invalid_argument'));
    expect(() => deviceIdOf(new Uint8Array(32))).toThrow(failing('invalid_argument'));
  });
});
