import { hashOfUserId } from '../../../identity/index.ts';
import type { Signer } from '../../../identity/index.ts';
import { accountView, addressOf, sameBytes } from '../../../ledger/index.ts';
import type { Address, LedgerView } from '../../../ledger/index.ts';
import type { Online } from '../../core.ts';
import type { OpenChain } from '../chains.ts';
import { txBodyOf } from './request.ts';
import type { KeyHolder, Parties, SigningRequest } from './request.ts';

/** The keys that speak for an account, and how many of them sign together. Does nothing but look. */
export function keysOfAccount(
  { state }: LedgerView,
  address: Address,
): { readonly threshold: number; readonly keys: readonly KeyHolder[] } {
  const { quorum, key } = accountView(state, address);
  if (!quorum) return { threshold: 1, keys: [{ address, key }] };
  return {
    threshold: quorum.threshold,
    keys: quorum.keys.map((one) => ({ address: addressOf(one), key: one })),
  };
}

/** Whose signatures a request wants. Does nothing but look. */
export function partiesIn(view: LedgerView, request: SigningRequest): Parties {
  if (request.t === 'account') {
    const keys = request.signers.map((address) => ({ address, key: null }));
    return { threshold: keys.length, keys, sponsor: null };
  }
  const { sender, feePayer } = txBodyOf(request);
  return { ...keysOfAccount(view, sender), sponsor: feePayer && sponsorKeys(view, feePayer) };
}

/** A sponsor pays with his root key, or with one that he allowed to pay fees. */
function sponsorKeys(view: LedgerView, address: Address): readonly KeyHolder[] {
  const { quorum, key, keys } = accountView(view.state, address);
  const paying = keys.filter(({ scopes, expiry }) => scopes.includes('fee') && expiry > view.time);
  return [
    // An account of several keys pays for nobody: one signature is all that a sponsor has.
    ...(quorum ? [] : [{ address, key }]),
    ...paying.map((one) => ({ address, key: one.key })),
  ];
}

/** Accounts that a request concerns: those that sign, the one that changes, who asked. */
export function concerned(request: SigningRequest, { keys, sponsor }: Parties): readonly Address[] {
  const all = [request.by, ...[...keys, ...(sponsor ?? [])].map(({ address }) => address)];
  return all.filter((one, i) => all.findIndex((other) => sameBytes(one, other)) === i);
}

/** The keys of this computer that may sign for somebody: of every actor where the phrase is, else the one of this network. */
export function ownSigners({ identity }: Pick<Online, 'identity'>, open: OpenChain): readonly Signer[] {
  if (identity.status().linked) return [open.delegatedKey];
  return identity.actors().map(({ userId }) => identity.accountSigner(userId));
}

/** The accounts of this computer's people. */
export const ownAddresses = ({ identity }: Pick<Online, 'identity'>): readonly Address[] =>
  identity.actors().map(({ userId }) => hashOfUserId(userId));
