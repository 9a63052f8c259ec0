import { createHash, randomBytes } from 'node:crypto';
import { beforeEach, expect, it } from 'vitest';
import { entryId } from '../../history/index.ts';
import { openDatabase } from '../../store/index.ts';
import { createReplicaRecords, keeps } from '../replica-records.ts';
import type { ReplicaRecords } from '../replica-records.ts';
import { createStripeRecords } from './stripe-records.ts';
import type { StripeRecords } from './stripe-records.ts';
import { slotOf } from './stripe.ts';
import type { Stripe } from './stripe.ts';

const drive = entryId(randomBytes(32));
const whole = { whole: true, slot: null };
const shard = (text: string, size = 1000) => ({
  id: new Uint8Array(createHash('sha256').update(text).digest()),
  size,
});
const blocks = [1, 2, 3, 4].map((n) => shard(`block ${n}`));
const parity = [1, 2].map((n) => ({
  ...shard(`parity ${n}`),
  bytes: new Uint8Array(1000),
  root: randomBytes(32),
}));
const stripe: Stripe = { data: 4, blocks, parity };
const roots = blocks.map(() => randomBytes(32));
let records: ReplicaRecords;
let stripes: StripeRecords;

/** What a host of that role keeps, by the changes it is told of. */
function keptBy(role: { whole: boolean; slot: number | null }): string[] {
  return records
    .changesSince(drive, 0, 100)
    .filter((block) => keeps(role, block))
    .map(({ id }) => Buffer.from(id).toString('hex'))
    .sort();
}
const hexes = (list: readonly { readonly id: Uint8Array }[]): string[] =>
  list.map(({ id }) => Buffer.from(id).toString('hex')).sort();

beforeEach(() => {
  const db = openDatabase(':memory:');
  records = createReplicaRecords(db);
  stripes = createStripeRecords(db);
  records.addBlocks(drive, [...blocks, shard('another')]);
});

it('keeps blocks whole until every shard is placed, and only then lets hosts of whole files forget them', () => {
  stripes.add(drive, stripe, roots, parity);
  expect(keptBy(whole)).toEqual(hexes([...blocks, shard('another')]));
  for (let slot = 0; slot < 6; slot++) expect(keptBy({ whole: false, slot })).toHaveLength(1);
  expect(keptBy({ whole: false, slot: slotOf(stripe, 5) })).toEqual(hexes([parity[1]!]));
  expect(stripes.isExposed(drive)).toBe(true);
  expect(records.changesSince(drive, 0, 100).some(({ settled }) => settled)).toBe(false);
  const seq = records.seq(drive);
  expect(stripes.settle(drive)).toBe(1);
  expect(keptBy(whole)).toEqual(hexes([shard('another')]));
  // Hosts learn of it as of a change.
  expect(records.changesSince(drive, seq, 100).filter(({ settled }) => settled)).toHaveLength(6);
  expect(records.totals(drive)).toMatchObject({ whole: 1000, waiting: 0 });
  expect(stripes.codes(drive)).toEqual([{ data: 4, parity: 2, bytes: 4000 }]);
});

it('ends a stripe when none of its blocks is used any more, and not before', () => {
  stripes.add(drive, stripe, roots, parity);
  stripes.settle(drive);
  const used = new Set(hexes([blocks[2]!, shard('another')]));
  expect(records.retire(drive, used)).toBe(0);
  expect(records.retire(drive, new Set(hexes([shard('another')])))).toBe(6);
  expect(stripes.codes(drive)).toEqual([]);
  expect(stripes.changesSince(drive, 1, 10)).toMatchObject([{ removed: true }]);
  // A block that is used again is kept whole.
  records.addBlocks(drive, [blocks[0]!]);
  expect(keptBy(whole)).toEqual(hexes([blocks[0]!, shard('another')]));
  expect(stripes.isFree(drive, blocks[0]!.id)).toBe(true);
});

it('gives way to whole copies before it goes', () => {
  stripes.add(drive, stripe, roots, parity);
  stripes.settle(drive);
  expect(stripes.dissolve(drive, 2)).toBe(0);
  expect(stripes.dissolve(drive, 3)).toBe(1);
  expect(keptBy(whole)).toEqual(hexes([...blocks, shard('another')]));
  for (let slot = 0; slot < 6; slot++) expect(keptBy({ whole: false, slot })).toHaveLength(1);
  expect(stripes.finishDissolving(drive)).toBe(1);
  for (let slot = 0; slot < 6; slot++) expect(keptBy({ whole: false, slot })).toHaveLength(0);
  expect(stripes.of(drive, blocks[0]!.id)).toBeNull();
});

it('tells nobody of blocks that wait for their stripe, and keeps them whole when none comes', () => {
  const cold = [shard('cold 1'), shard('cold 2')];
  records.addBlocks(drive, cold, false);
  expect(records.totals(drive).waiting).toBe(2);
  expect(records.rootless(drive, 100)).toHaveLength(5);
  expect(keptBy(whole)).toEqual(hexes([...blocks, shard('another')]));
  expect(stripes.endWaiting(drive)).toBe(2);
  expect(keptBy(whole)).toEqual(hexes([...blocks, ...cold, shard('another')]));
});

it('takes over a stripe of another keeper, with blocks that are in use nowhere else', () => {
  const other: Stripe = { data: 4, blocks: [shard('old'), ...blocks.slice(1)], parity };
  expect(stripes.fits(drive, other)).toBe(true);
  expect(stripes.fits(drive, { data: 4, blocks: [shard('old'), shard('older')], parity })).toBe(false);
  stripes.add(drive, other, roots, parity);
  stripes.settle(drive);
  for (let slot = 0; slot < 6; slot++) expect(keptBy({ whole: false, slot })).toHaveLength(1);
  expect(keptBy({ whole: false, slot: slotOf(other, 0) })).toEqual(hexes([shard('old')]));
  expect(keptBy(whole)).toEqual(hexes([blocks[0]!, shard('another')]));
  expect(records.rootless(drive, 10).map(({ id }) => Buffer.from(id).toString('hex'))).not.toContain(
    hexes([shard('old')])[0],
  );
  // It is known by now, and shares blocks with another grouping of them.
  expect(stripes.fits(drive, other)).toBe(false);
  expect(stripes.fits(drive, stripe)).toBe(false);
  // An old block goes with the stripe, and a stripe that was given up is not taken over again.
  expect(records.retire(drive, new Set(hexes([blocks[1]!, blocks[0]!])))).toBe(1);
  expect(records.retire(drive, new Set(hexes([blocks[0]!])))).toBe(6);
  records.addBlocks(drive, blocks);
  expect(stripes.fits(drive, other)).toBe(false);
});

it('gives up a stripe when whole copies of what is in use of it take less', () => {
  stripes.add(drive, stripe, roots, parity);
  stripes.settle(drive);
  const used = (...some: Stripe['blocks']): Set<string> => new Set(hexes(some));
  // Two of four blocks, three times each, are as much as the six shards.
  expect(stripes.dissolveWasteful(drive, used(blocks[0]!, blocks[2]!), 3)).toBe(0);
  expect(stripes.dissolveWasteful(drive, used(), 3)).toBe(0);
  expect(stripes.dissolveWasteful(drive, used(blocks[2]!), 3)).toBe(1);
  expect(keptBy(whole)).toEqual(hexes([blocks[2]!, shard('another')]));
  // Its shards stay until that is there.
  for (let slot = 0; slot < 6; slot++) expect(keptBy({ whole: false, slot })).toHaveLength(1);
  expect(stripes.finishDissolving(drive)).toBe(1);
  records.retire(drive, used(blocks[2]!));
  expect(keptBy(whole)).toEqual(hexes([blocks[2]!]));
  expect(stripes.isFree(drive, blocks[2]!.id)).toBe(true);
});
