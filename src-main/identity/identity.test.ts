import { beforeEach, describe, expect, it } from 'vitest';
import { wrapFor } from './ecies.ts';
import { deviceKeyOf, userIdOf } from './ids.ts';
import type { Identity } from './identity-types.ts';
import { verifyCard, verifyDeviceCertificate } from './card.ts';
import { verifySignature } from './signature.ts';
import { createIdentity } from './identity.ts';
import { cheapScrypt, memoryFiles, seededRandom, testClock, testComputer } from './test-world.ts';
import type { MemoryFiles, TestClock } from './test-world.ts';

const failing = (code: string): object => expect.objectContaining({ name: 'AppError', code });
const text = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString();

let clock: TestClock;
let files: MemoryFiles;
let laptop: Identity;
beforeEach(async () => {
  clock = testClock();
  files = memoryFiles();
  laptop = testComputer('Laptop', clock, files);
  await laptop.start();
});

/** Links `other` to `home` over a perfect stream; returns the digits both showed. */
async function link(home: Identity, other: Identity): Promise<readonly [string, string]> {
  const { code } = await home.invite();
  const session = await other.join({ code, inviter: home.deviceId });
  const handled = home.handleJoin(session.join, other.deviceId);
  const shown = session.handleAnswer(handled.answer).digits;
  const approved = home.approve(code.toLowerCase());
  await session.accept(await handled.approval);
  return [shown, approved.digits];
}

async function linkedDesktop(): Promise<Identity> {
  const desktop = testComputer('Desktop', clock);
  await desktop.start();
  await link(laptop, desktop);
  return desktop;
}

describe('first start', () => {
  it('makes a device key that stays, before there is a user', async () => {
    expect(laptop.status()).toMatchObject({ state: 'none', protection: 'none', userId: null, linked: false });
    expect(laptop.deviceId).toMatch(/^12D3KooW/);
    expect(Buffer.from(deviceKeyOf(laptop.deviceId))).toEqual(Buffer.from(laptop.deviceSigner.publicKey));
    const again = testComputer('Laptop', clock, files, 'other randomness');
    await again.start();
    expect(again.deviceId).toBe(laptop.deviceId);
    const key = await again.devicePrivateKey();
    expect(Buffer.from(key.publicKey.raw)).toEqual(Buffer.from(laptop.deviceSigner.publicKey));
    const bytes = Buffer.from('x');
    expect(verifySignature(laptop.deviceSigner.publicKey, bytes, again.deviceSigner.sign(bytes))).toBe(true);
    expect(() => laptop.card()).toThrow(failing('no_identity'));
    expect(() => laptop.backupPhrase()).toThrow(failing('no_identity'));
  });

  it('derives one secret per purpose, the same after a restart', async () => {
    const again = testComputer('Laptop', clock, files);
    await again.start();
    expect(again.deviceSecret('writer 1')).toEqual(laptop.deviceSecret('writer 1'));
    expect(again.deviceSecret('writer 1')).not.toEqual(again.deviceSecret('writer 2'));
  });
});

describe('users', () => {
  it('creates a user with a card that certifies this computer', async () => {
    const cards: number[] = [];
    laptop.on('card', (card) => cards.push(card.number));
    const user = await laptop.create({ words: 24 });
    const card = laptop.card();
    expect(userIdOf(card.rootKey)).toBe(user);
    expect(verifyCard(card)).toBe(true);
    expect(verifyDeviceCertificate(laptop.certificate())).toBe(true);
    expect(card.devices.map((cert) => cert.name)).toEqual(['Laptop']);
    expect(laptop.backupPhrase().split(' ')).toHaveLength(24);
    expect(text(laptop.unwrap(wrapFor(card.encKey, Buffer.from('hello'))))).toBe('hello');
    expect(cards).toEqual([1]);
    await expect(laptop.create()).rejects.toThrow(failing('already_exists'));
  });

  it('gives a device another name in a new certificate, which counts wherever the card goes', async () => {
    await laptop.create();
    const desktop = await linkedDesktop();
    const before = laptop.card();
    laptop.renameDevice(desktop.deviceId, '  Old tower ');
    const name = (device: typeof laptop) =>
      device.devices().find((one) => one.deviceId === desktop.deviceId)?.name;
    expect(name(laptop)).toBe('Old tower');
    expect(laptop.card()).toMatchObject({ number: before.number + 1, encKeyNumber: before.encKeyNumber });
    expect(desktop.acceptCard(laptop.card())).toBe(true);
    expect(name(desktop)).toBe('Old tower');
    expect(desktop.certificate().name).toBe('Old tower');
    expect(laptop.acceptCard(before)).toBe(false);
    expect(name(laptop)).toBe('Old tower');
    expect(() => laptop.renameDevice(desktop.deviceId, ' ')).toThrow(failing('invalid_argument'));
    expect(() => desktop.renameDevice(laptop.deviceId, 'Mine')).toThrow(failing('not_allowed'));

    // A computer with the phrase that has not heard of it, and says something newer itself, keeps the name.
    const tablet = testComputer('Tablet', clock);
    await tablet.start();
    await tablet.restore(laptop.backupPhrase());
    tablet.acceptCard(before);
    tablet.renameDevice(tablet.deviceId, 'Pad');
    laptop.acceptCard(tablet.card());
    expect(name(laptop)).toBe('Old tower');
    expect(laptop.devices().map((one) => one.name)).toContain('Pad');
  });

  it('restores the same user from the phrase on another computer, and its keys from a found card', async () => {
    const user = await laptop.create();
    const desktop = await linkedDesktop();
    laptop.revokeDevice(desktop.deviceId);
    const found = laptop.card();
    expect(found.encKeyNumber).toBe(1);

    const tablet = testComputer('Tablet', clock);
    await tablet.start();
    expect(await tablet.restore(laptop.backupPhrase().toUpperCase().replaceAll(' ', '\n'))).toBe(user);
    expect(tablet.card().encKeyNumber).toBe(0);
    expect(tablet.acceptCard(found)).toBe(true);
    expect(tablet.card()).toMatchObject({ number: found.number + 1, encKeyNumber: 1 });
    expect(tablet.card().encKey).toEqual(found.encKey);
    expect(
      tablet
        .devices()
        .map((d) => d.name)
        .sort(),
    ).toEqual(['', 'Laptop', 'Tablet']);
    expect(text(tablet.unwrap(wrapFor(found.encKey, Buffer.from('new'))))).toBe('new');
    expect(laptop.acceptCard(tablet.card())).toBe(true);
    expect(laptop.card()).toEqual(tablet.card());
    expect(tablet.acceptCard(found)).toBe(false);
  });

  it('refuses mistyped phrases without repeating them', async () => {
    await laptop.create();
    const tablet = testComputer('Tablet', clock);
    await tablet.start();
    const words = laptop.backupPhrase().split(' ');
    await expect(tablet.restore(words.slice(1).join(' '))).rejects.toThrow(
      /has 12 or 24 words; this one has 11/,
    );
    await expect(tablet.restore(['qqqq', ...words.slice(1)].join(' '))).rejects.toThrow(/^Word 1 of/);
    await expect(tablet.restore([...words.slice(1), 'zoo'].join(' '))).rejects.toThrow(
      failing('phrase_invalid'),
    );
    expect(tablet.status().state).toBe('none');
  });

  it('holds many actors under one phrase', async () => {
    const main = await laptop.create();
    const work = laptop.addActor('Work');
    expect(work).not.toBe(main);
    expect(() => laptop.addActor('Work')).toThrow(failing('already_exists'));
    expect(laptop.useActor('Work')).toBe(work);
    expect(() => laptop.useActor('Nobody')).toThrow(failing('not_found'));
    const box = wrapFor(laptop.card(main).encKey, Buffer.from('to main'));
    expect(laptop.tryUnwrap(box)).toBe(null);
    expect(text(laptop.tryUnwrap(box, main))).toBe('to main');
    const again = testComputer('Laptop', clock, files);
    await again.start();
    expect(again.actors()).toEqual([
      { name: 'main', userId: main, inUse: false },
      { name: 'Work', userId: work, inUse: true },
    ]);
  });
});

describe('linking', () => {
  it('gives certificate, card and encryption keys, never phrase or root key', async () => {
    const user = await laptop.create();
    const desktop = testComputer('Desktop', clock);
    await desktop.start();
    const asked: string[] = [];
    laptop.on('joinRequest', (info) => asked.push(info.name));
    const [shown, approved] = await link(laptop, desktop);
    expect(shown).toMatch(/^\d{6}$/);
    expect(approved).toBe(shown);
    expect(asked).toEqual(['Desktop']);
    expect(desktop.status()).toMatchObject({ state: 'open', userId: user, linked: true, keysMissing: false });
    expect(desktop.card()).toEqual(laptop.card());
    expect(verifyDeviceCertificate(desktop.certificate())).toBe(true);
    expect(text(desktop.unwrap(wrapFor(laptop.card().encKey, Buffer.from('hi'))))).toBe('hi');
    for (const forbidden of [
      () => desktop.backupPhrase(),
      () => desktop.addActor('x'),
      () => desktop.invite(),
    ]) {
      await expect((async () => forbidden())()).rejects.toThrow(failing('not_allowed'));
    }
  });

  it('hands a new encryption key to the devices that stay, not to the revoked one', async () => {
    await laptop.create();
    const desktop = await linkedDesktop();
    const phone = testComputer('Phone', clock);
    await phone.start();
    await link(laptop, phone);
    expect(desktop.acceptCard(laptop.card())).toBe(true);

    laptop.revokeDevice(phone.deviceId);
    expect(() => laptop.revokeDevice(phone.deviceId)).toThrow(failing('device_unknown'));
    expect(() => laptop.revokeDevice(laptop.deviceId)).toThrow(failing('not_allowed'));
    for (const device of [desktop, phone]) expect(device.acceptCard(laptop.card())).toBe(true);
    expect(phone.status()).toMatchObject({ revoked: true, keysMissing: true });
    expect(() => phone.certificate()).toThrow(failing('forbidden'));
    expect(() => laptop.keysFor(phone.deviceId)).toThrow(failing('forbidden'));
    expect(() => desktop.keysFor(laptop.deviceId)).toThrow(failing('key_missing'));

    const box = wrapFor(laptop.card().encKey, Buffer.from('later'));
    expect(desktop.tryUnwrap(box)).toBe(null);
    const keys = laptop.keysFor(desktop.deviceId);
    expect(() => desktop.acceptKeys(keys, phone.deviceId)).toThrow(failing('forbidden'));
    expect(desktop.acceptKeys(keys, laptop.deviceId)).toBe(true);
    expect(desktop.acceptKeys(keys, laptop.deviceId)).toBe(false);
    expect(text(desktop.tryUnwrap(box))).toBe('later');
    expect(phone.tryUnwrap(box)).toBe(null);
    await expect(link(laptop, phone)).rejects.toThrow(failing('already_exists'));
  });

  it('merges what two computers with one phrase did apart', async () => {
    await laptop.create();
    const tablet = testComputer('Tablet', clock);
    await tablet.start();
    await tablet.restore(laptop.backupPhrase());
    tablet.acceptCard(laptop.card());
    laptop.acceptCard(tablet.card());
    const [a, b] = [testComputer('A', clock), testComputer('B', clock)];
    for (const device of [a, b]) {
      await device.start();
      await link(laptop, device);
    }
    tablet.acceptCard(laptop.card());
    // Apart: each revokes another device, and both count their encryption key as number 1.
    laptop.revokeDevice(a.deviceId);
    tablet.revokeDevice(b.deviceId);
    const [fromLaptop, fromTablet] = [laptop.card(), tablet.card()];
    laptop.acceptCard(fromTablet);
    tablet.acceptCard(fromLaptop);
    for (let round = 0; round < 2; round++) {
      laptop.acceptCard(tablet.card());
      tablet.acceptCard(laptop.card());
    }
    expect(laptop.card()).toEqual(tablet.card());
    // B was given number 1 by the laptop, A by the tablet: so there is a number 2.
    expect(laptop.card().encKeyNumber).toBe(2);
    expect(laptop.devices().filter((d) => d.revokedAt !== null)).toHaveLength(2);
    expect(laptop.devices().filter((d) => d.revokedAt === null)).toHaveLength(2);
  });

  it('takes no card of others and no forged one', async () => {
    await laptop.create();
    const stranger = testComputer('Stranger', clock);
    await stranger.start();
    await stranger.create();
    expect(laptop.acceptCard(stranger.card())).toBe(false);
    const forged = { ...laptop.card(), number: 99, sig: seededRandom('sig')(64) };
    expect(() => laptop.acceptCard(forged)).toThrow(failing('bad_signature'));
  });
});

describe('password', () => {
  it('locks, opens with the right password only, and shows who it is meanwhile', async () => {
    const user = await laptop.create();
    await expect(laptop.lock()).rejects.toThrow(failing('not_allowed'));
    const phrase = laptop.backupPhrase();
    await laptop.changePassword('Straße ①');
    expect(files.map.has('keystore.key')).toBe(false);
    await laptop.lock();
    const { deviceId } = laptop;
    expect(laptop.status()).toMatchObject({
      state: 'locked',
      protection: 'password',
      userId: user,
      deviceId,
    });
    expect(laptop.card().user).toBe(user);
    for (const secret of [
      () => laptop.backupPhrase(),
      () => laptop.deviceSigner.sign(new Uint8Array()),
      () => laptop.deviceSecret('x'),
      () => laptop.tryUnwrap(new Uint8Array(100)),
      () => laptop.addActor('x'),
      () => laptop.joinRequests(),
    ]) {
      expect(secret).toThrow(failing('keystore_locked'));
    }
    await expect(laptop.unlock('wrong')).rejects.toThrow(failing('wrong_password'));
    expect(laptop.status().state).toBe('locked');
    await laptop.unlock('Straße 1'); // NFKC: the circled digit is the digit
    expect(laptop.backupPhrase()).toBe(phrase);

    const again = testComputer('Laptop', clock, files);
    await again.start();
    expect(again.status().state).toBe('locked');
    await again.start({ password: 'Straße 1' });
    expect(again.backupPhrase()).toBe(phrase);
    await expect(again.changePassword(null)).rejects.toThrow(failing('wrong_password'));
    await expect(again.changePassword('')).rejects.toThrow(failing('wrong_password'));
    await expect(again.changePassword('', 'Straße 1')).rejects.toThrow(failing('invalid_argument'));
    await again.changePassword(null, 'Straße 1');
    const last = testComputer('Laptop', clock, files);
    await last.start();
    expect(last.status()).toMatchObject({ state: 'open', protection: 'none' });
  });

  it('starts under a password from the first moment', async () => {
    const own = memoryFiles();
    const server = testComputer('Server', clock, own);
    await server.start({ password: 'pw' });
    expect(server.status()).toMatchObject({ state: 'none', protection: 'password' });
    expect([...own.map.keys()]).toEqual(['keystore.json']);
  });

  it('keeps changes made while a password is being changed', async () => {
    await laptop.create();
    const changing = laptop.changePassword('pw');
    laptop.addActor('Meanwhile');
    await changing;
    laptop.addActor('Afterwards');
    const again = testComputer('Laptop', clock, files);
    await again.start({ password: 'pw' });
    expect(again.actors().map((a) => a.name)).toEqual(['main', 'Meanwhile', 'Afterwards']);
  });

  it('overwrites every secret in memory when it locks', async () => {
    const handedOut: Uint8Array[] = [];
    const source = seededRandom('recorded');
    const random = (n: number): Uint8Array => {
      const bytes = source(n);
      if (n === 16 || n === 32) handedOut.push(bytes); // keys and the phrase's entropy; nonces and names are not secret
      return bytes;
    };
    const own = createIdentity({
      files: memoryFiles(),
      clock,
      random,
      deviceName: 'x',
      scryptCost: cheapScrypt,
    });
    await own.start({ password: 'pw' });
    const [deviceSeed, masterKey] = handedOut;
    await own.create();
    const entropy = handedOut.find((bytes) => bytes.length === 16);
    for (const secret of [deviceSeed, masterKey, entropy])
      expect(secret?.some((byte) => byte !== 0)).toBe(true);
    await own.lock();
    for (const secret of [deviceSeed, masterKey, entropy])
      expect(secret?.every((byte) => byte === 0)).toBe(true);
    await own.unlock('pw');
    expect(own.backupPhrase().split(' ')).toHaveLength(12);
  });
});

describe('a disk that fails', () => {
  it('leaves the identity as it was', async () => {
    const { write } = files;
    files.write = () => {
      throw new Error('disk on fire');
    };
    await expect(laptop.create()).rejects.toThrow('disk on fire');
    expect(laptop.status().state).toBe('none');
    files.write = write;
    const user = await laptop.create();
    files.write = () => {
      throw new Error('disk on fire');
    };
    expect(() => laptop.addActor('Work')).toThrow('disk on fire');
    await expect(laptop.changePassword('pw')).rejects.toThrow('disk on fire');
    expect(laptop.status()).toMatchObject({ protection: 'none', userId: user });
    expect(laptop.actors()).toHaveLength(1);
    files.write = write;
    const again = testComputer('Laptop', clock, files);
    await again.start();
    expect(again.userId()).toBe(user);
  });
});
