import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import { encryptionKeyOf, tryUnwrap, wrapFor } from '../../identity/index.ts';
import { openDatabase } from '../../store/index.ts';
import { decodeRecoveryAnswer, decodeRecoveryRequest, encodeRecovery, recordsPerUser } from './messages.ts';
import { maxRecordBox, openRecord, sealRecord, type RecoveryRecord } from './record.ts';
import { createRecoveryRecords } from './records.ts';

const secret = new Uint8Array(32).fill(9);
const encKey = encryptionKeyOf(secret);
const macKey = new Uint8Array(32).fill(3);
const random = (n: number): Uint8Array => new Uint8Array(randomBytes(n));
const unwrap = (box: Uint8Array): Uint8Array | null => tryUnwrap(secret, box);
const driveId = (n: number): string =>
  `b${'a'.repeat(50)}${n.toString().padStart(5, 'x').replaceAll(/\d/g, 'b')}`;
const user = 'exc1lhnhdc97sewgq3y6l5yz9347zmv4dkr60e7syy3vw23tu2turlsspmeyed';
const record: RecoveryRecord = {
  device: '12D3KooWSsMmj5GDmKVjBesqKuQ2eeywqYmssGsYLAS6RQuEbNcS',
  time: 1_795_000_000_000,
  drives: [
    { driveId: driveId(1), name: 'Photos', role: 'owner' },
    { driveId: driveId(2), name: 'Choir ♫', role: 'reader' },
  ],
  holders: ['/ip4/127.0.0.2/tcp/4201/p2p/12D3KooWSsMmj5GDmKVjBesqKuQ2eeywqYmssGsYLAS6RQuEbNcS'],
  network: 'extrachain://chain/harbour-a8abf5ff70692200',
  names: [{ user, name: 'Ben', time: 1_795_000_000_000 }],
};

test('a record is read as it was written, by its person alone', () => {
  const box = sealRecord(record, encKey, macKey, random);
  expect(openRecord(box, unwrap, macKey)).toEqual(record);
  expect(openRecord(box, (bytes) => tryUnwrap(new Uint8Array(32).fill(8), bytes), macKey)).toBeNull();
});

test('who keeps a record cannot make up another, though everybody can encrypt for a person', () => {
  const forged = sealRecord(record, encKey, new Uint8Array(32).fill(4), random);
  expect(openRecord(forged, unwrap, macKey)).toBeNull();
  expect(openRecord(wrapFor(encKey, random(200), random), unwrap, macKey)).toBeNull();
  expect(openRecord(wrapFor(encKey, random(5), random), unwrap, macKey)).toBeNull();
});

test('its length does not tell how many drives there are, and one of too much gives up names first', () => {
  const length = (n: number): number =>
    sealRecord({ ...record, drives: record.drives.slice(0, n) }, encKey, macKey, random).length;
  expect(length(1)).toBe(length(2));
  const many: RecoveryRecord = {
    ...record,
    drives: Array.from({ length: 200 }, (_, n) => ({
      driveId: driveId(n),
      name: 'n'.repeat(60),
      role: 'owner' as const,
    })),
    names: Array.from({ length: 512 }, () => ({ user, name: 'ö'.repeat(64), time: 1 })),
  };
  const box = sealRecord(many, encKey, macKey, random);
  expect(box.length).toBeLessThanOrEqual(maxRecordBox);
  const read = openRecord(box, unwrap, macKey)!;
  expect(read.drives).toHaveLength(200);
  expect(read.names.length).toBeLessThan(512);
});

test('whatever comes instead of a message is refused with an error of its own', () => {
  const good = [
    encodeRecovery({ t: 'ask' }),
    encodeRecovery({ t: 'keep', locator: random(32), box: random(40) }),
    encodeRecovery({ t: 'record', box: random(40) }),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...good), fc.nat(), fc.nat(255), fc.boolean(), (bytes, at, value, cut) => {
      const altered = Uint8Array.from(cut ? bytes.subarray(0, at % bytes.length) : bytes);
      if (altered.length > 0) altered[at % altered.length] = value;
      for (const decode of [decodeRecoveryRequest, decodeRecoveryAnswer]) {
        try {
          decode(altered);
        } catch (error) {
          if (!isAppError(error, 'malformed') && !isAppError(error, 'too_large')) throw error;
        }
      }
    }),
  );
  const wide = { t: 'keep' as const, locator: random(32), box: random(maxRecordBox + 1) };
  expect(() => decodeRecoveryRequest(encodeRecovery(wide))).toThrowError(
    expect.objectContaining({ code: 'malformed' }),
  );
});

test('of each computer what it handed in last is kept, and of one person a few', () => {
  const db = openDatabase(':memory:');
  const records = createRecoveryRecords(db);
  const keep = (device: string, box: Uint8Array, now: number): void =>
    records.keep(user, device, box, random(32), now);
  const [first, second] = [random(8), random(8)];
  keep('a', first, 1);
  keep('a', second, 2);
  expect(records.of(user)).toEqual([second]);
  for (let n = 0; n < recordsPerUser; n++) keep(`b${n}`, random(8), 10 + n);
  expect(records.of(user)).toHaveLength(recordsPerUser);
  expect(records.of(user)).not.toContainEqual(second);
  expect(records.of('exc1other')).toEqual([]);
  expect(records.locators(3)).toHaveLength(3);
  db.close();
});

test('each record of a computer is later than the one before, also after its clock was set back', () => {
  const db = openDatabase(':memory:');
  const { nextTime } = createRecoveryRecords(db);
  expect([500, 100, 900].map((now) => nextTime(user, now))).toEqual([500, 501, 900]);
  db.close();
});
