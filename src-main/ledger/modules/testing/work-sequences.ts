import fc from 'fast-check';
import { leafRoot, proveLeaf } from '../../../history/index.ts';
import { deviceIdOf, makeReceipt } from '../../../identity/index.ts';
import { listRoot, proveInList } from '../../codec/index.ts';
import { bytesKey } from '../../state/table.ts';
import { addressOfName, signerOf } from '../../testing.ts';
import type { BlockContext } from '../context.ts';
import { relayClaim } from '../relay/relay.ts';
import { beaconHash } from '../storage/beacon.ts';
import { contentOf } from '../storage/content.ts';
import { answerOf, challengeOf, hosts, periodMs, periodOf, samplesOf, seedOf } from '../storage/state.ts';
import { dueContracts } from '../storage/storage.ts';
import { validators } from '../validators.ts';

/*
 * What can be asked of storage contracts, the beacon and funds for relays, for random sequences: real proofs, real receipts, and such
 * as do not hold.
 */

type Fields = Readonly<Record<string, unknown>>;
export type WorkDeed =
  | { readonly type: 'message'; readonly of: string; readonly fields: Fields }
  /** Says that it read all its contracts but so many, which it says it lost or makes up. */
  | { readonly type: 'claim'; readonly lost: number; readonly honest: boolean }
  | { readonly type: 'prove'; readonly honest: boolean }
  /** So many periods pass, in which all hosts but one claim and prove. */
  | { readonly type: 'periods'; readonly count: number; readonly idle: string | null }
  | { readonly type: 'commit secret' }
  | { readonly type: 'reveal secret' }
  | {
      readonly type: 'redeem';
      readonly fund: number;
      readonly viewers: readonly number[];
      readonly bytes: number;
    };

/** Two blocks, the second with a leaf that is not whole. */
const blocks = [1, 2].map((fill) => Buffer.alloc(fill === 1 ? 2048 : 1200, fill));
const content = contentOf(blocks.map((block) => ({ root: leafRoot(block), bytes: block.length })));
const bytes = blocks.reduce((sum, block) => sum + block.length, 0);
const leafOf = (at: number): Uint8Array => {
  const { block, leaf } = content.find(at);
  return blocks[block]!.subarray(1024 * leaf, 1024 * leaf + 1024);
};

const message = <T extends object>(of: string, fields: fc.Arbitrary<T>): fc.Arbitrary<WorkDeed> =>
  fields.map((one) => ({ type: 'message', of, fields: one as unknown as Fields }));
const stream = new Uint8Array(32).fill(7);
const gib = 2 ** 30;

/** @param people who may be named */
export function workDeed(people: readonly string[]): fc.Arbitrary<WorkDeed> {
  const somebody = fc.constantFrom(...people).map(addressOfName);
  const price = fc.oneof(
    { weight: 6, arbitrary: fc.bigInt({ min: 1n, max: 2n ** 50n }) },
    { weight: 1, arbitrary: fc.bigInt({ min: 1n, max: 2n ** 128n - 1n }) },
  );
  const number = fc.nat(3);
  return fc.oneof(
    {
      weight: 2,
      arbitrary: message('storage.buyFuel', fc.record({ amount: fc.bigInt({ min: 1n, max: 10n ** 9n }) })),
    },
    {
      weight: 4,
      arbitrary: message(
        'storage.open',
        fc.record({
          root: fc.constant(content.root),
          bytes: fc.constant(bytes),
          copies: fc.integer({ min: 1, max: 3 }),
          periods: fc.integer({ min: 1, max: 20 }),
          price,
          collateral: fc.bigInt({ min: 0n, max: 10n ** 6n }),
          host: fc.option(somebody, { freq: 4 }),
        }),
      ),
    },
    { weight: 8, arbitrary: message('storage.accept', fc.record({ contract: number })) },
    {
      weight: 8,
      arbitrary: fc
        .record({ lost: fc.oneof(fc.constant(0), fc.nat(2)), honest: fc.boolean() })
        .map((one): WorkDeed => ({ type: 'claim', ...one })),
    },
    {
      weight: 8,
      arbitrary: fc.integer({ min: 0, max: 7 }).map((one): WorkDeed => ({ type: 'prove', honest: one > 0 })),
    },
    {
      weight: 8,
      arbitrary: fc
        .record({
          count: fc.oneof(
            { weight: 5, arbitrary: fc.constant(1) },
            { weight: 1, arbitrary: fc.integer({ min: 2, max: 14 }) },
          ),
          idle: fc.option(fc.constantFrom(...people), { freq: 2 }),
        })
        .map((one): WorkDeed => ({ type: 'periods', ...one })),
    },
    { weight: 2, arbitrary: message('storage.report', fc.record({ host: somebody })) },
    { weight: 3, arbitrary: message('storage.close', fc.record({ contract: number })) },
    {
      weight: 2,
      arbitrary: message('storage.collect', fc.record({ symbol: fc.constantFrom('AAA', 'EXC') })),
    },
    {
      weight: 2,
      arbitrary: message('relay.collect', fc.record({ symbol: fc.constantFrom('AAA', 'EXC') })),
    },
    { weight: 1, arbitrary: message('storage.vote', fc.record({ price })) },
    { weight: 2, arbitrary: fc.constant<WorkDeed>({ type: 'commit secret' }) },
    { weight: 2, arbitrary: fc.constant<WorkDeed>({ type: 'reveal secret' }) },
    {
      weight: 2,
      arbitrary: message(
        'relay.fund',
        fc.record({
          stream: fc.constant(stream),
          amount: fc.bigInt({ min: 1n, max: 10n ** 12n }),
          price,
          perViewer: fc.integer({ min: 1, max: 4 * gib }),
          perRelayBp: fc.integer({ min: 1, max: 10_000 }),
          minStake: fc.constantFrom(0n, 0n, 0n, 1n),
          periods: fc.integer({ min: 1, max: 20 }),
        }),
      ),
    },
    {
      weight: 5,
      arbitrary: fc
        .record({
          fund: number,
          viewers: fc.array(fc.nat(3), { minLength: 1, maxLength: 3 }),
          bytes: fc.integer({ min: 0, max: 16 * gib }),
        })
        .map((one): WorkDeed => ({ type: 'redeem', ...one })),
    },
    { weight: 2, arbitrary: message('relay.close', fc.record({ fund: number, rows: fc.constant(4096) })) },
  );
}

/**
 * Makes the first two of them validators, as far as the beacon asks for that; opens two contracts, which the others keep, and a fund.
 * @param send a message as somebody
 */
export function beginWork(
  ctx: BlockContext,
  operators: readonly [string, string],
  send: (name: string, type: string, fields: object) => boolean,
): void {
  const [client, host] = operators;
  send(client, 'storage.buyFuel', { amount: 10n ** 9n });
  for (const price of [2n ** 40n, 2n ** 30n]) {
    const terms = { root: content.root, bytes, copies: 3, periods: 60, price, collateral: 1003n, host: null };
    send(client, 'storage.open', terms);
  }
  for (const contract of [0, 1]) send(host, 'storage.accept', { contract });
  const terms = { price: 1000n, perViewer: 2 * gib, perRelayBp: 5000, minStake: 0n, periods: 60 };
  send(client, 'relay.fund', { stream, amount: 10n ** 6n, ...terms });

  for (const name of operators) {
    ctx.state.set(validators, bytesKey(addressOfName(name)), {
      key: signerOf(`${name}/consensus`).publicKey,
      name,
      ...{ commissionBp: 0, commissionAt: 0, commission: 0n, jailed: false, jailedUntil: 0 },
      ...{ tombstoned: false, left: false, missed: 0 },
    });
  }
}

const secretOf = (who: string): Uint8Array => signerOf(`${who}/secret`).publicKey;
const receipts = new Map<string, Uint8Array>();
/** Signing one takes longer than all else: each is made once. */
function receiptOf(viewer: number, device: string, got: number): Uint8Array {
  const key = `${viewer} ${device} ${got}`;
  let signed = receipts.get(key);
  if (!signed) {
    const from = deviceIdOf(signerOf(device).publicKey);
    const streamId = Buffer.from(stream).toString('hex');
    signed = makeReceipt(signerOf(`viewer ${viewer}`), {
      streamId,
      from,
      bytes: got,
      parts: 1,
      time: 0,
    }).signed;
    if (receipts.size > 10_000) receipts.clear();
    receipts.set(key, signed);
  }
  return signed;
}

/**
 * Does what was drawn.
 * @param send a message as somebody; false: it was refused
 * @param pass lets time pass, ms
 */
export function performWork(
  ctx: BlockContext,
  who: string,
  deed: WorkDeed,
  send: (name: string, type: string, fields: object) => boolean,
  pass: (ms: number) => void,
  people: readonly string[],
): boolean {
  const run = (type: string, fields: object): boolean => send(who, type, fields);
  const me = addressOfName(who);
  const { state } = ctx;
  const period = periodOf(ctx.time);
  switch (deed.type) {
    case 'message':
      return run(deed.of, deed.fields);
    case 'claim': {
      const due = dueContracts(state, me, period);
      const lost = due.slice(0, deed.lost).map(({ number }) => number);
      const missing = deed.honest ? lost : [];
      return run('storage.claim', { root: listRoot(answersOf(ctx, who, period, missing, lost)), missing });
    }
    case 'prove': {
      const row = state.get(hosts, bytesKey(me));
      if (!row?.claim) return false;
      const { claim } = row;
      // Who made answers up can't open them all: this one shows what he should have had.
      const answers = answersOf(ctx, who, claim.period, claim.missing, []);
      const wanted = samplesOf(seedOf(state, claim.period + 1), me, answers.length);
      const due = dueContracts(state, me, claim.period).filter(
        ({ number }) => !claim.missing.includes(number),
      );
      const openings = wanted.map((index) => {
        const { number } = due[index]!;
        const at = challengeOf(seedOf(state, claim.period), me, number, bytes);
        const { block, leaf } = content.find(at);
        const opening = content.open(at, proveLeaf(blocks[block]!, leaf)!);
        const shown = deed.honest ? opening : { ...opening, leaf: Buffer.alloc(opening.leaf.length, 9) };
        return { ...shown, inClaim: proveInList(answers, index).path };
      });
      return run('storage.prove', { slots: row.slots, openings });
    }
    case 'periods': {
      const active = people.filter((name) => name !== deed.idle);
      const all = (one: WorkDeed): readonly boolean[] =>
        active.map((name) => performWork(ctx, name, one, send, pass, people));
      for (let i = 0; i < deed.count; i++) {
        // From the beginning of the next period on: claims are made in the first half, secrets shown in the second.
        pass(hour - (ctx.time % hour));
        all({ type: 'prove', honest: true });
        all({ type: 'claim', lost: 0, honest: true });
        pass(hour / 2);
        all({ type: 'reveal secret' });
        all({ type: 'commit secret' });
      }
      return true;
    }
    case 'commit secret':
      return run('beacon.commit', { hash: beaconHash(me, secretOf(who)) });
    case 'reveal secret':
      return run('beacon.reveal', { secret: secretOf(who) });
    case 'redeem': {
      const device = signerOf(`${who}/relay`);
      const sig = device.sign(relayClaim(ctx.chainId, device.publicKey, me));
      const shown = deed.viewers.map((viewer) => receiptOf(viewer, `${who}/relay`, deed.bytes));
      return run('relay.redeem', { fund: deed.fund, device: device.publicKey, sig, receipts: shown });
    }
  }
}

/** The answers a host gives for a period, in the order of its contracts; those it lost are made up. */
function answersOf(
  { state }: BlockContext,
  who: string,
  period: number,
  missing: readonly number[],
  lost: readonly number[],
): readonly Uint8Array[] {
  const me = addressOfName(who);
  const seed = seedOf(state, period);
  return dueContracts(state, me, period)
    .filter(({ number }) => !missing.includes(number))
    .map(({ number }) => {
      const leaf = leafOf(challengeOf(seed, me, number, bytes));
      return answerOf(seed, me, number, lost.includes(number) ? Buffer.alloc(leaf.length, 3) : leaf);
    });
}

/** A step of time that leads into another period. */
export const hour = periodMs;
