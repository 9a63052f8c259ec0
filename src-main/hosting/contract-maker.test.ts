import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { silentLogger } from '../../src-shared/runtime.ts';
import type { Drive } from '../drive/index.ts';
import { entryId } from '../history/index.ts';
import { createSigner, deviceIdOf } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import { openDatabase } from '../store/index.ts';
import { createContractMaker } from './contract-maker.ts';
import { createKnownContracts } from './contracts-known.ts';
import { createReplicaRecords } from './replica-records.ts';
import type { Openness } from './types.ts';

it('makes a new contract when a drive is opened, gets another link, or is closed', () => {
  const signer = createSigner(randomBytes(32));
  const drive = {
    id: entryId(randomBytes(32)),
    members: () => [{ userId: 'user a', role: 'owner' }],
  } as unknown as Drive;
  const network = { peerId: deviceIdOf(signer.publicKey) } as Network;
  const records = createReplicaRecords(openDatabase(':memory:'));
  const contracts = createKnownContracts({ drive, network, records, logger: silentLogger });
  let open: Openness = null;
  const maker = createContractMaker({
    drive,
    records,
    contracts,
    network,
    clock: { now: () => 1000, after: () => () => {} },
    signer,
    card: () => new Uint8Array(),
    openness: () => open,
  });
  const made: [number, Openness | undefined][] = [];
  const look = (): void => void made.push([maker.current(3), contracts.newest()?.contract.open]);
  const [one, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const said: Openness[] = [null, null, 'public', 'public', one, Uint8Array.from(one), other, null];
  for (const now of said) {
    open = now;
    look();
  }
  expect(made).toEqual([
    [1, null],
    [1, null],
    [2, 'public'],
    [2, 'public'],
    [3, one],
    [3, one],
    [4, other],
    [5, null],
  ]);
});
