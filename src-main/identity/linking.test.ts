import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import { deviceIdOf } from './ids.ts';
import { decodeDeviceKeys, decodePublic, decodeSecret } from './identity-records.ts';
import { createInviter, createJoiner, inviteLifetime, maxApprovalBytes, parseInviteCode } from './linking.ts';
import type { Inviter, Joiner } from './linking.ts';
import { createSigner } from './signature.ts';
import { decodeStrict, encodeStrict } from './strict-cbor.ts';
import { seededRandom, testClock, testComputer } from './test-world.ts';
import type { TestClock } from './test-world.ts';

const failing = (code: string): object => expect.objectContaining({ name: 'AppError', code });
const random = seededRandom('linking');
const newId = (): string => deviceIdOf(createSigner(random(32)).publicKey);
const [home, guest, thief] = [newId(), newId(), newId()] as const;
const gift = Buffer.from('certificate and keys');

let clock: TestClock;
let inviter: Inviter;
let code: string;
beforeEach(async () => {
  clock = testClock();
  inviter = createInviter({ clock, random, deviceId: home });
  ({ code } = await inviter.invite());
});

const joiner = (deviceId = guest, typed = code, to = home): Promise<Joiner> =>
  createJoiner({ random, deviceId }, { code: typed, name: 'Guest', inviter: to });

/** What a promise rejected with; `pending` when it has not settled. */
async function outcome(promise: Promise<unknown>): Promise<string> {
  const settled = promise.then(
    () => 'resolved',
    (error: unknown) => (isAppError(error) ? error.code : String(error)),
  );
  return Promise.race([settled, new Promise<string>((resolve) => setImmediate(() => resolve('pending')))]);
}

describe('codes', () => {
  it('are read as people type them, with or without an address', () => {
    expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}$/);
    expect(parseInviteCode(code.toLowerCase().replaceAll('-', ' '))).toEqual({ code, address: null });
    expect(parseInviteCode(`${code}@/ip4/127.0.0.1/tcp/4001/p2p/${home}`)).toEqual({
      code,
      address: `/ip4/127.0.0.1/tcp/4001/p2p/${home}`,
    });
    expect(parseInviteCode('OIL0-0000-0000@').code).toBe('0110-0000-0000');
    for (const bad of ['', '@', 'AAAA-AAAA', 'AAAA-AAAA-AAAA-A', 'UUUU-UUUU-UUUU', 'äAAA-AAAA-AAAA']) {
      expect(() => parseInviteCode(bad)).toThrow(failing('code_invalid'));
    }
  });

  it('are random, few at once, and expire', async () => {
    const codes = new Set([code]);
    for (let i = 1; i < 8; i++) codes.add((await inviter.invite()).code);
    expect(codes.size).toBe(8);
    await expect(inviter.invite()).rejects.toThrow(failing('rate_limited'));
    clock.advance(inviteLifetime);
    const late = await joiner();
    expect(() => inviter.handleJoin(late.join, guest)).toThrow(failing('code_invalid'));
    expect(() => inviter.approve(code, () => gift)).toThrow(failing('code_invalid'));
    await inviter.invite();
  }, 20_000);
});

describe('linking', () => {
  it('brings the content over once a person approved, with the same digits on both sides', async () => {
    const guestSide = await joiner();
    expect(() => inviter.approve(code, () => gift)).toThrow(failing('not_found'));
    const { answer, info, approval } = inviter.handleJoin(guestSide.join, guest);
    expect(info).toMatchObject({ code, deviceId: guest, name: 'Guest', approved: false });
    expect(guestSide.handleAnswer(answer).digits).toBe(info.digits);
    expect(await outcome(approval)).toBe('pending');
    expect(inviter.approve(code, () => gift)).toMatchObject({ approved: true });
    expect(Buffer.from(guestSide.handleApproval(await approval))).toEqual(gift);
    expect(inviter.pending()).toHaveLength(1);
  });

  it('sends the approval again to the same device after a broken connection', async () => {
    const first = await joiner();
    const broken = inviter.handleJoin(first.join, guest);
    const again = await joiner();
    const handled = inviter.handleJoin(again.join, guest);
    expect(await outcome(broken.approval)).toBe('cancelled');
    inviter.approve(code, () => gift);
    let made = 0;
    inviter.approve(code, () => (made++, gift));
    expect(made).toBe(0);
    const third = await joiner();
    const last = inviter.handleJoin(third.join, guest);
    again.handleAnswer(handled.answer);
    third.handleAnswer(last.answer);
    expect(Buffer.from(again.handleApproval(await handled.approval))).toEqual(gift);
    expect(Buffer.from(third.handleApproval(await last.approval))).toEqual(gift);
  });

  it('serves one device only, whoever else knows the code', async () => {
    inviter.handleJoin((await joiner()).join, guest);
    const other = await joiner(thief);
    expect(() => inviter.handleJoin(other.join, thief)).toThrow(failing('code_invalid'));
  });

  it('is worth nothing to who relays the messages over another connection', async () => {
    const victim = await joiner();
    expect(() => inviter.handleJoin(victim.join, thief)).toThrow(failing('code_invalid'));
    // The guest was lured to the thief's node, which forwards to the real one.
    const lured = await joiner(guest, code, thief);
    expect(() => inviter.handleJoin(lured.join, guest)).toThrow(failing('code_invalid'));
  });

  it('refuses a wrong code on either side', async () => {
    const wrong = code.startsWith('0') ? `1${code.slice(1)}` : `0${code.slice(1)}`;
    const guesser = await joiner(thief, wrong);
    expect(() => inviter.handleJoin(guesser.join, thief)).toThrow(failing('code_invalid'));
    // A false inviter that does not know the code answers with a key of its own.
    const guestSide = await joiner();
    const [, key] = decodeStrict(guestSide.join, 4096, 'test') as [number, Uint8Array];
    expect(() => guestSide.handleAnswer(encodeStrict([2, key, random(32)]))).toThrow(failing('code_invalid'));
    expect(() => guestSide.handleApproval(encodeStrict([3, random(40)]))).toThrow(
      failing('protocol_violation'),
    );
  });

  it('can be cancelled and expires while waiting', async () => {
    const one = inviter.handleJoin((await joiner()).join, guest);
    inviter.cancel(code);
    expect(await outcome(one.approval)).toBe('cancelled');
    ({ code } = await inviter.invite());
    const two = inviter.handleJoin((await joiner()).join, guest);
    clock.advance(inviteLifetime);
    expect(await outcome(two.approval)).toBe('timeout');
    expect(inviter.pending()).toEqual([]);
  });

  it('stays waiting when the approval is refused', async () => {
    const { approval } = inviter.handleJoin((await joiner()).join, guest);
    expect(() =>
      inviter.approve(code, () => {
        throw new Error('refused');
      }),
    ).toThrow('refused');
    expect(await outcome(approval)).toBe('pending');
  });
});

describe('hostile bytes', () => {
  const arbitrary = (good: Uint8Array): fc.Arbitrary<Uint8Array> =>
    fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.jsonValue().map((value) => encodeStrict(value)),
      fc
        .tuple(fc.constantFrom(0, 1, 2, 3), fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 3 }))
        .map(([kind, parts]) => encodeStrict([kind, ...parts])),
      fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
        const bad = good.slice();
        bad[at]! ^= flip;
        return bad;
      }),
    );

  /** Runs a decoder on bytes that are wrong; anything but these errors fails the test. */
  function refuses(
    name: string,
    bytes: fc.Arbitrary<Uint8Array>,
    decode: (input: Uint8Array) => unknown,
  ): void {
    const codes = ['malformed', 'too_large', 'code_invalid', 'bad_signature'];
    const property = fc.property(bytes, (input) => {
      try {
        decode(input);
      } catch (error) {
        if (isAppError(error) && codes.includes(error.code)) return;
        throw error;
      }
      throw new Error(`${name} accepted it`);
    });
    fc.assert(property, { seed: 5, numRuns: 400 });
  }

  it('never crash either side, nor get through', async () => {
    const [forAnswer, forApproval] = [await joiner(), await joiner()] as const;
    const { answer } = inviter.handleJoin(forAnswer.join, guest);
    const handled = inviter.handleJoin(forApproval.join, guest);
    forApproval.handleAnswer(handled.answer);
    inviter.approve(code, () => gift);
    const approval = await handled.approval;
    refuses('join', arbitrary(forAnswer.join), (input) => inviter.handleJoin(input, guest));
    refuses('answer', arbitrary(answer), (input) => forAnswer.handleAnswer(input));
    refuses('approval', arbitrary(approval), (input) => forApproval.handleApproval(input));
    const huge = new Uint8Array(maxApprovalBytes + 1);
    expect(() => forApproval.handleApproval(huge)).toThrow(failing('too_large'));
    expect(() => inviter.handleJoin(huge, guest)).toThrow(failing('too_large'));
    expect(Buffer.from(forApproval.handleApproval(approval))).toEqual(gift);
    expect(forAnswer.handleAnswer(answer).digits).toMatch(/^\d{6}$/);
  });

  it('are refused as records and keys', async () => {
    const computer = testComputer('Laptop', clock);
    await computer.start();
    await computer.create();
    const keys = computer.keysFor(computer.deviceId);
    expect(decodeDeviceKeys(keys).secrets.size).toBe(1);
    // A flipped byte of the only secret or of the card shows.
    refuses('keys', arbitrary(keys), decodeDeviceKeys);
    const map = decodeStrict(keys, 1e6, 'test') as { secrets: [number, Uint8Array][] };
    for (const secrets of [
      [],
      [[0, random(32)]],
      [...map.secrets, [1, random(32)]],
      [...map.secrets, ...map.secrets],
    ]) {
      expect(() => decodeDeviceKeys(encodeStrict({ ...map, secrets }))).toThrow(failing('malformed'));
    }
    refuses(
      'public record',
      fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.jsonValue().map(encodeStrict)),
      decodePublic,
    );
    refuses(
      'secret record',
      fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.jsonValue().map(encodeStrict)),
      decodeSecret,
    );
  });
});
