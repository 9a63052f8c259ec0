import type { WalletAct } from '../../../src-shared/contract/index.ts';
import type { NodeClient } from '../../rpc/node-link.ts';

type Input<K extends WalletAct['act']> = Extract<WalletAct, { act: K }>['input'];
type Sent = Promise<{ hash: string }>;

/** The command of the contract that does each act. */
const commands: { readonly [K in WalletAct['act']]: (client: NodeClient, input: Input<K>) => Sent } = {
  send: (client, input) => client.wallet.send(input),
  createToken: (client, input) => client.tokens.create(input),
  mint: (client, input) => client.tokens.mint(input),
  burn: (client, input) => client.tokens.burn(input),
  freeze: (client, input) => client.tokens.freeze(input),
  renounce: (client, input) => client.tokens.renounce(input),
  handOver: (client, input) => client.tokens.handOver(input),
  setFeeRate: (client, input) => client.tokens.setFeeRate(input),
  fundFees: (client, input) => client.tokens.fundFees(input),
  withdrawFees: (client, input) => client.tokens.withdrawFees(input),
  bond: (client, input) => client.stakes.bond(input),
  unbond: (client, input) => client.stakes.unbond(input),
  claim: (client, input) => client.stakes.claim(input),
  redelegate: (client, input) => client.stakes.redelegate(input),
  createValidator: (client, input) => client.stakes.createValidator(input),
  leaveValidator: (client, input) => client.stakes.leaveValidator(input),
  unjail: (client, input) => client.stakes.unjail(input),
  allowKey: (client, input) => client.wallet.allowKey(input),
  revokeKey: (client, input) => client.wallet.revokeKey(input),
  swap: (client, input) => client.pools.swap(input),
  poolCreate: (client, input) => client.pools.create(input),
  poolDeposit: (client, input) => client.pools.deposit(input),
  poolWithdraw: (client, input) => client.pools.withdraw(input),
  poolClaim: (client, input) => client.pools.claim(input),
  poolFavour: (client, input) => client.pools.favour(input),
  vaultCreate: (client, input) => client.vaults.create(input),
  vaultDeposit: (client, input) => client.vaults.deposit(input),
  vaultWithdraw: (client, input) => client.vaults.withdraw(input),
  vaultMove: (client, input) => client.vaults.rebalance(input),
  vaultTargets: (client, input) => client.vaults.setTargets(input),
  nameRenew: (client, input) => client.names.renew(input),
  nameTransfer: (client, input) => client.names.transfer(input),
  namePoint: (client, input) => client.names.point(input),
  storageFuel: (client, input) => client.storage.fuel(input),
  storageOpen: (client, input) => client.storage.open(input),
  storageClose: (client, input) => client.storage.close(input),
  storageCollect: (client, input) => client.storage.collect(input),
  storageVote: (client, input) => client.storage.vote(input),
  storageReport: (client, input) => client.storage.report(input),
  relayFund: (client, input) => client.storage.relayFund(input),
  relayClose: (client, input) => client.storage.relayClose(input),
  relayCollect: (client, input) => client.storage.relayCollect(input),
  directoryPublish: (client, input) => client.directory.publish(input),
  directoryRemove: (client, input) => client.directory.remove(input),
};

/** Signs an act and hands it in. @param password where the preview says that it is asked for */
export function doAct(client: NodeClient, { act, input }: WalletAct, password?: string): Sent {
  const command = commands[act] as (client: NodeClient, input: object) => Sent;
  return command(client, { ...input, password });
}

/** What a field for an amount holds: digits with at most one point, more than nothing; null while it is something else. */
export function amountOf(text: string): string | null {
  const trimmed = text.trim();
  return /^\d+(\.\d+)?$/.test(trimmed) && Number(trimmed) > 0 ? trimmed : null;
}
