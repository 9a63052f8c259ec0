import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { createSigner, verifySignature } from '../../identity/index.ts';
import { voteSignBytes } from '../codec/index.ts';
import { decodeLogEntry, encodeLogEntry } from './event-codec.ts';
import type { LogEntry } from './event-codec.ts';
import { openInputLog, readInputLog } from './input-log.ts';
import { afterSigning, decideSigning, emptySignState } from './sign-guard.ts';
import type { SignKind, SignRequest } from './sign-guard.ts';
import { openConsensusSigner } from './sign-state.ts';

const dir = mkdtempSync(path.join(os.tmpdir(), 'extrachain-crash-safety-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const signer = createSigner(new Uint8Array(32).fill(7));
const chainId = 'test-aaaaaaaaaaaaaaaa';
const hash = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const request = (
  kind: SignKind,
  height: number,
  round: number,
  blockId: Uint8Array | null,
  validRound = -1,
): SignRequest => ({ kind, height, round, blockId, validRound });

describe('the guard', () => {
  test('over any requests, with any restarts, no two signatures of one step differ', () => {
    const kinds = ['proposal', 'prevote', 'precommit'] as const;
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            kind: fc.constantFrom(...kinds),
            height: fc.integer({ min: 1, max: 3 }),
            round: fc.integer({ min: 0, max: 2 }),
            block: fc.integer({ min: 0, max: 3 }),
          }),
          { maxLength: 60 },
        ),
        (wanted) => {
          let state = emptySignState;
          const said = new Map<string, string>();
          const order: number[] = [];
          for (const { kind, height, round, block } of wanted) {
            const one = request(kind, height, round, kind !== 'proposal' && block === 0 ? null : hash(block));
            const decision = decideSigning(state, one);
            if (decision.type === 'refuse') continue;
            const told = decision.type === 'resend' ? decision.record.blockId : one.blockId;
            if (decision.type === 'sign') {
              state = afterSigning(state, one, new Uint8Array(64));
              order.push(height * 100 + round * 10 + kinds.indexOf(kind));
            }
            const step = `${kind} ${height} ${round}`;
            const text = String(told?.[0] ?? 'nil');
            expect(said.get(step) ?? text).toBe(text);
            said.set(step, text);
          }
          expect(order).toEqual([...order].sort((a, b) => a - b));
          expect(new Set(order).size).toBe(order.length);
        },
      ),
    );
  });

  test('remembers the last block it precommitted at a height', () => {
    let state = afterSigning(emptySignState, request('precommit', 5, 1, hash(1)), hash(0));
    state = afterSigning(state, request('precommit', 5, 2, null), hash(0));
    expect(state.lock).toEqual({ round: 1, blockId: hash(1) });
    state = afterSigning(state, request('prevote', 6, 0, null), hash(0));
    expect(state.lock).toBeNull();
  });
});

describe('the sign-state file', () => {
  test('after reopening the same step gives the same bytes, whatever is asked, and an earlier one nothing', () => {
    const file = path.join(dir, 'sign-state.db');
    const first = openConsensusSigner(file, chainId, signer);
    const vote = first.sign(request('prevote', 9, 1, hash(1)));
    first.close();
    const again = openConsensusSigner(file, chainId, signer);
    expect(again.sign(request('prevote', 9, 1, hash(2)))).toMatchObject({
      blockId: hash(1),
      sig: vote!.sig,
    });
    expect(again.sign(request('proposal', 9, 1, hash(2)))).toBeNull();
    expect(again.sign(request('precommit', 9, 0, hash(2)))).toBeNull();
    expect(again.sign(request('precommit', 8, 4, hash(2)))).toBeNull();
    expect(
      verifySignature(
        signer.publicKey,
        voteSignBytes(chainId, { type: 'prevote', height: 9, round: 1, blockId: hash(1) }),
        vote!.sig,
      ),
    ).toBe(true);
    again.close();
  });

  test('a damaged one signs nothing', () => {
    const file = path.join(dir, 'damaged.db');
    writeFileSync(file, 'not a database at all, but long enough to be looked at');
    expect(() => openConsensusSigner(file, chainId, signer)).toThrowError(
      expect.objectContaining({ code: 'corrupt' }),
    );
  });
});

const entries: readonly LogEntry[] = [
  { kind: 'height', height: 4 },
  { kind: 'event', event: { type: 'timeout', kind: 'propose', height: 4, round: 0 } },
  {
    kind: 'event',
    event: {
      type: 'vote',
      vote: {
        type: 'prevote',
        height: 4,
        round: 0,
        blockId: null,
        validator: hash(1),
        sig: new Uint8Array(64),
      },
    },
  },
  { kind: 'event', event: { type: 'validated', blockId: hash(3), valid: true, time: -5 } },
  { kind: 'event', event: { type: 'made', height: 4, round: 0, blockId: hash(3), time: 1 } },
  { kind: 'event', event: { type: 'txsAvailable' } },
  {
    kind: 'event',
    event: {
      type: 'proposal',
      receivedAt: 12,
      proposal: {
        height: 4,
        round: 1,
        validRound: 0,
        blockId: hash(2),
        proposer: hash(1),
        sig: new Uint8Array(64),
      },
    },
  },
];

describe('the log of inputs', () => {
  test('cut off at any byte, or with any byte damaged, it gives a prefix of what was written', () => {
    const file = path.join(dir, 'inputs.log');
    const log = openInputLog(file);
    log.reset(4);
    for (const entry of entries.slice(1)) log.append(entry);
    log.sync();
    log.close();
    const whole = new Uint8Array(readFileSync(file));
    expect(readInputLog(whole).entries).toEqual(entries);
    for (let end = 0; end < whole.length; end++) {
      const { entries: left } = readInputLog(whole.subarray(0, end));
      expect(left).toEqual(entries.slice(0, left.length));
      expect(left.length).toBeLessThan(entries.length);
      const damaged = whole.slice();
      damaged[end]! ^= 0x41;
      const { entries: sound } = readInputLog(damaged);
      expect(sound).toEqual(entries.slice(0, sound.length));
    }
  });

  test('goes on after the damage, and is of one height only', () => {
    const file = path.join(dir, 'cut.log');
    const log = openInputLog(file);
    log.reset(4);
    for (const entry of entries.slice(1)) log.append(entry);
    log.close();
    truncateSync(file, readFileSync(file).length - 3);
    const cut = openInputLog(file);
    expect(cut.recover(4)).toEqual(entries.slice(1, -1));
    cut.append(entries[1]!);
    cut.close();
    const more = openInputLog(file);
    expect(more.recover(5)).toEqual([]);
    more.close();
    const last = openInputLog(file);
    expect(last.recover(4)).toEqual([...entries.slice(1, -1), entries[1]]);
    last.close();
  });

  test('fuzz: any bytes are an entry or a refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        let entry: LogEntry;
        try {
          entry = decodeLogEntry(bytes);
        } catch (error) {
          expect(['malformed', 'too_large']).toContain((error as { code?: string }).code);
          return;
        }
        expect(Buffer.from(encodeLogEntry(entry)).equals(bytes)).toBe(true);
      }),
    );
  });
});
