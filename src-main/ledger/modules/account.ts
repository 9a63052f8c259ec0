import { AppError } from '../../../src-shared/errors.ts';
import { isSigningKey, verifySignature } from '../../identity/index.ts';
import { addressOf, compareBytes, inDomain, maxQuorumKeys, maxTime, sameBytes } from '../codec/index.ts';
import { amount, bytesOf, listOf, nullable, pattern, record, refined, whole } from '../codec/shape.ts';
import type { ValueOf } from '../codec/shape.ts';
import { symbolShape } from '../codec/tx.ts';
import type { StateView } from '../state/overlay.ts';
import { bytesKey, table } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import type { Address, Amount, TokenSymbol } from '../types.ts';
import { kind } from './context.ts';
import type { BlockContext, Module, TxContext } from './context.ts';

/** Keys that speak for an account, and the numbers of its transactions. */

const maxDelegates = 32;
const key = bytesOf(32);

const accountShape = record({
  nonce: whole(),
  /** The root key after a rotation; null: still the one whose hash is the address. */
  key: nullable(key),
  /** Several keys of which so many sign together, in place of the root key. */
  quorum: nullable(record({ threshold: whole(maxQuorumKeys, 1), keys: listOf(key, maxQuorumKeys, 2) })),
  delegates: whole(maxDelegates),
});
export type AccountRow = ValueOf<typeof accountShape>;
export const accounts = table('a', 'accounts', accountShape);
export const accountOf = (state: StateView, address: Address): AccountRow =>
  state.get(accounts, bytesKey(address)) ?? { nonce: 0, key: null, quorum: null, delegates: 0 };

/** `bank` for all messages of a module, `bank.send` for one. */
const scopeShape = pattern(/^[a-z]{2,16}(\.[a-zA-Z]{2,24})?$/, 'the name of a module or message');
const capShape = record({ symbol: symbolShape, amount });
const capsShape = refined(listOf(capShape, 16), (caps) =>
  new Set(caps.map(({ symbol }) => symbol)).size === caps.length ? null : 'a token stands there twice',
);
const delegateShape = record({
  scopes: listOf(scopeShape, 16, 1),
  /** What is left to spend, fees included; nothing of tokens that are not listed. */
  caps: capsShape,
  /** ms since the epoch; in a block of that time or later the key has no power. */
  expiry: whole(maxTime),
});
export const delegates = table('d', 'delegated keys', delegateShape);
export const delegateKey = (address: Address, signer: Uint8Array): Key =>
  bytesKey(address) + bytesKey(signer);

/** What the holder of a new root key signs, so that no account is turned over to a key nobody has. */
export const rotationBytes = (chainId: string, address: Address): Uint8Array =>
  inDomain('key rotation', Buffer.concat([Buffer.from(chainId, 'latin1'), address]));

/** The allowance of a key: null for the root key, and for a quorum. */
export type Allowance = TxContext['allowance'];

/**
 * Whether the signers speak for the account, for these messages now: the root key, as many of its keys as it asks for, or one
 * delegated key.
 * @param types of the messages; null when it only pays their fee
 * @returns what it may spend
 * @throws AppError `key_not_allowed`, `key_expired`, `scope_missing`
 */
export function authorise(
  ctx: Pick<BlockContext, 'state' | 'time'>,
  address: Address,
  signers: readonly Uint8Array[],
  types: readonly string[] | null,
  delegable: (type: string) => boolean,
): Allowance {
  const { key: root, quorum } = accountOf(ctx.state, address);
  const [signer] = signers as [Uint8Array];
  if (quorum) {
    const known = (one: Uint8Array): boolean => quorum.keys.some((other) => sameBytes(one, other));
    // Exactly as many: one more would be another name for the same transaction.
    if (signers.length === quorum.threshold && signers.every(known)) return null;
  } else if (signers.length === 1) {
    if (root === null ? sameBytes(addressOf(signer), address) : sameBytes(root, signer)) return null;
  }
  const at = delegateKey(address, signer);
  const found = signers.length === 1 ? ctx.state.get(delegates, at) : null;
  if (!found)
    throw new AppError(
      'key_not_allowed',
      'The transaction is signed by a key that does not speak for its account.',
    );
  if (found.expiry <= ctx.time)
    throw new AppError('key_expired', 'The key that signed the transaction has expired.');
  for (const type of types ?? ['fee.pay']) {
    const allowed = found.scopes.includes(type) || found.scopes.includes(type.slice(0, type.indexOf('.')));
    if (!allowed || (types !== null && !delegable(type))) {
      throw new AppError('scope_missing', `The key that signed the transaction may not do ${type}.`);
    }
  }
  return (symbol: TokenSymbol, value: Amount) => {
    const row = ctx.state.get(delegates, at) ?? found;
    const cap = row.caps.find((one) => one.symbol === symbol);
    if (!cap || cap.amount < value) {
      throw new AppError(
        'cap_exceeded',
        `The key that signed the transaction may not spend so much ${symbol}.`,
      );
    }
    const caps = row.caps.map((one) => (one === cap ? { ...cap, amount: cap.amount - value } : one));
    ctx.state.set(delegates, at, { ...row, caps });
  };
}

/** What a delegated key may still spend of a token. */
export function leftToSpend(
  state: StateView,
  address: Address,
  signer: Uint8Array,
  symbol: TokenSymbol,
): Amount {
  const caps = state.get(delegates, delegateKey(address, signer))?.caps ?? [];
  return caps.find((one) => one.symbol === symbol)?.amount ?? 0n;
}

function checkKey(bytes: Uint8Array): void {
  if (!isSigningKey(bytes)) throw new AppError('invalid_argument', 'This is not a signing key.');
}

/**
 * Takes all delegated keys from the sender: who changes the root key because somebody else had it must not leave in force what that
 * one delegated. Answers with the account's row, to be written by the caller.
 */
function withoutDelegates({ state, sender }: TxContext): AccountRow {
  for (const [at] of [...state.rows(delegates, bytesKey(sender))]) state.set(delegates, at, null);
  return { ...accountOf(state, sender), delegates: 0 };
}

export const accountModule = {
  name: 'account',
  messages: {
    'account.rotateKey': kind({
      shape: record({ key, proof: bytesOf(64) }),
      weight: 2500,
      delegable: false,
      run(ctx, message) {
        checkKey(message.key);
        if (!verifySignature(message.key, rotationBytes(ctx.chainId, ctx.sender), message.proof)) {
          throw new AppError('bad_signature', 'The new key did not sign for the account.');
        }
        const row = withoutDelegates(ctx);
        ctx.state.set(accounts, bytesKey(ctx.sender), { ...row, key: message.key, quorum: null });
      },
    }),
    /** From now on so many of these keys sign together in place of the root key; `rotateKey` gives the account to one key again. */
    'account.setQuorum': kind({
      shape: refined(
        record({
          threshold: whole(maxQuorumKeys, 1),
          /** Each signs `rotationBytes`, so that none is named that nobody has. In the order of their bytes. */
          keys: listOf(record({ key, proof: bytesOf(64) }), maxQuorumKeys, 2),
        }),
        ({ threshold, keys }) =>
          threshold > keys.length
            ? 'more keys are to sign than there are'
            : keys.every((one, i) => i === 0 || compareBytes(keys[i - 1]!.key, one.key) < 0)
              ? null
              : 'its keys are not in order',
      ),
      weight: ({ keys }) => 2500 + 300 * keys.length,
      delegable: false,
      run(ctx, { threshold, keys }) {
        const bytes = rotationBytes(ctx.chainId, ctx.sender);
        for (const one of keys) {
          checkKey(one.key);
          if (!verifySignature(one.key, bytes, one.proof))
            throw new AppError('bad_signature', 'One of the keys did not sign for the account.');
        }
        const row = withoutDelegates(ctx);
        const quorum = { threshold, keys: keys.map((one) => one.key) };
        ctx.state.set(accounts, bytesKey(ctx.sender), { ...row, quorum });
      },
    }),
    'account.delegateKey': kind({
      shape: record({ key, scopes: listOf(scopeShape, 16, 1), caps: capsShape, expiry: whole(maxTime) }),
      weight: 1000,
      delegable: false,
      run(ctx, { key: delegate, ...terms }) {
        checkKey(delegate);
        const at = delegateKey(ctx.sender, delegate);
        const row = accountOf(ctx.state, ctx.sender);
        if (!ctx.state.get(delegates, at)) {
          if (row.delegates >= maxDelegates) {
            throw new AppError(
              'too_many',
              `An account has ${maxDelegates} delegated keys at most; revoke one first.`,
            );
          }
          ctx.state.set(accounts, bytesKey(ctx.sender), { ...row, delegates: row.delegates + 1 });
        }
        ctx.state.set(delegates, at, terms);
      },
    }),
    'account.revokeKey': kind({
      shape: record({ key }),
      weight: 200,
      delegable: false,
      run(ctx, message) {
        const at = delegateKey(ctx.sender, message.key);
        if (!ctx.state.get(delegates, at))
          throw new AppError('not_found', 'The account has no such delegated key.');
        ctx.state.set(delegates, at, null);
        const row = accountOf(ctx.state, ctx.sender);
        ctx.state.set(accounts, bytesKey(ctx.sender), { ...row, delegates: row.delegates - 1 });
      },
    }),
  },
  invariants: {
    'each account has as many delegated keys as it says'(state) {
      const counts = new Map<Key, number>();
      for (const [at] of state.rows(delegates))
        counts.set(at.slice(0, 32), (counts.get(at.slice(0, 32)) ?? 0) + 1);
      for (const [address, row] of state.rows(accounts)) {
        if ((counts.get(address) ?? 0) !== row.delegates) return `an account says ${row.delegates}`;
        counts.delete(address);
      }
      return counts.size === 0 ? null : 'an account without a row has delegated keys';
    },
  },
} satisfies Module;
