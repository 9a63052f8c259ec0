import { createHash, randomBytes } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { AppError } from '../../src-shared/errors.ts';
import type { Drive } from '../drive/index.ts';
import { entryId } from '../history/index.ts';
import { openDatabase } from '../store/index.ts';
import { createStripeRecords } from './coding/stripe-records.ts';
import type { Ask } from './host-protocol.ts';
import { leafRoot, proveLeaf } from '../history/index.ts';
import type { HostAnswer, HostRequest } from './messages.ts';
import { createReplicaClient } from './replica-client.ts';
import { createReplicaRecords } from './replica-records.ts';
import type { HostRow } from './replica-records.ts';

const db = openDatabase(':memory:');
const records = createReplicaRecords(db);
const drive = { id: entryId(randomBytes(32)) } as Drive;
const block = new Uint8Array(randomBytes(5000));
const id = new Uint8Array(createHash('sha256').update(block).digest());
const clock = { now: () => 1000, after: () => () => {} };
const beacon = { seed: () => new Uint8Array(32) };
const stripes = createStripeRecords(db);
const client = createReplicaClient({ drive, records, stripes, beacon, clock });
const row = (host: string): HostRow => ({
  host,
  addresses: [],
  lastSeen: 0,
  missSince: null,
  broken: null,
  complete: true,
  bytes: 5000,
  auditTime: null,
  auditOk: null,
  contract: 1,
  sentSeq: 0,
  sentStripe: 0,
  whole: true,
  slot: null,
});
records.addBlocks(drive.id, [{ id, size: block.length }]);
records.setRoot(drive.id, id, block.length, leafRoot(block));

/** A host that answers audits from `bytes` and everything else with what is given. */
const hostWith = (bytes: Uint8Array | null, asked: string[] = []): Ask =>
  (async (request: HostRequest): Promise<HostAnswer> => {
    asked.push(request.t);
    if (request.t === 'audit') {
      return { t: 'proofs', proofs: request.challenges.map(({ leaf }) => bytes && proveLeaf(bytes, leaf)) };
    }
    if (request.t === 'check') return { t: 'state', bytes: 0, blocks: 1, missing: 1 };
    throw new AppError('quota_exceeded', 'No room.');
  }) as Ask;

afterEach(() => expect(records.totals(drive.id).blocks).toBe(1));

it('passes a host that has the block', async () => {
  const after = await client.audit(hostWith(block), row('honest'));
  expect(after).toMatchObject({ auditOk: true, missSince: null, complete: true });
});

it('fails hosts that lost or altered it, has them look at once, and counts one miss until it is made good', async () => {
  const altered = Uint8Array.from(block, (byte) => byte ^ 1);
  for (const [name, bytes] of [
    ['lost', null],
    ['altered', altered],
  ] as const) {
    const asked: string[] = [];
    const failed = await client.audit(hostWith(bytes, asked), row(name));
    expect(failed).toMatchObject({ auditOk: false, missSince: 1000, complete: false });
    expect(asked).toEqual(['audit', 'check']);
    await client.audit(hostWith(bytes), failed);
    expect(records.reputation(name).audits).toBe(1);
    expect(await client.audit(hostWith(block), failed)).toMatchObject({ auditOk: true, missSince: null });
  }
});

it('tells a host that refuses what its contract reserves from one that has no room', async () => {
  await expect(client.sendBlocks(hostWith(null), row('liar'), true)).rejects.toMatchObject({
    code: 'overcommitted',
  });
});
