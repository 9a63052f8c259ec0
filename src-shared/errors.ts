/**
 * Every failure that may reach a person or another program has one of these codes. The code is stable (scripts and the
 * window translate it); the message is one English sentence for people; the cause is for the log.
 */
export const errorCodes = [
  // asked for wrongly
  'invalid_argument',
  'not_found',
  'already_exists',
  'not_allowed',
  'unsupported',
  // this node
  'locked', // another daemon runs on this data folder
  'keystore_locked', // a password is needed
  'wrong_password',
  'no_identity',
  'not_running', // no daemon on this data folder
  'shutting_down',
  'internal',
  'timeout',
  'cancelled',
  // people and devices
  'user_unknown',
  'device_unknown',
  'code_invalid',
  'phrase_invalid',
  // bytes from disk or the network
  'malformed', // could not be decoded
  'too_large',
  'bad_signature',
  'bad_hash',
  'bad_link', // prev, seq, parents or lamport do not fit
  'unknown_writer',
  'forbidden', // the writer or reader has no such right
  'quarantined',
  'fork',
  'key_missing',
  'corrupt', // a stored record is damaged
  'proof_invalid',
  // links and invitations
  'link_cut_short', // its end is missing
  'link_altered', // its checksum does not fit
  'invite_expired',
  'invite_used_up',
  'invite_revoked',
  'too_many_invites',
  // drives and folders
  'drive_unknown',
  'root_missing',
  'root_unmarked',
  'folder_in_use',
  'mass_delete_held',
  'disk_full',
  'permission_denied',
  'name_unsupported', // the local file system can't hold the name
  'changed_while_reading',
  'content_lost',
  'gone', // a source no longer has the block
  'too_few_copies', // so few others hold a file that it can't be freed here
  // hosting
  'not_hosted', // the asked computer keeps nothing of that drive
  'contract_invalid', // a replica contract is out of date, not for this host or not by someone who may make it
  'quota_exceeded', // more than the host lends, or than the contract reserves
  'stake_short', // an account has too little at stake for what it asks
  'budget_spent', // what may be spent on copies of a drive is used up
  'unpaid', // a host kept the drive before, and was never paid for it
  'overcommitted', // a host refuses what its own contract reserves
  'audit_failed', // a host could not prove that it keeps a block
  'repair_refused', // a host does not bring back what it lost
  'disqualified', // a host failed too many audits
  // streams
  'stream_unknown', // nobody who is reachable has such a stream
  'stream_ended',
  'not_invited', // a stream for named users, not for this one
  'part_out_of_order', // a part that was sent already, or before its init segment
  // the ledger: consensus, gossip, sync, light client
  'chain_unknown', // this node does not follow that chain
  'block_invalid', // a block does not fit the chain or its own hashes
  'commit_invalid', // a certificate without two thirds of the power, or with a bad signature
  'vote_invalid', // a vote or proposal of nobody in the set, or badly signed
  'evidence_invalid',
  'double_sign_refused', // signing would contradict what this validator already signed
  'profile_copied', // somebody else signs with this validator's key
  'not_validator',
  'catching_up', // the node is still syncing the chain
  'chain_halted', // this node can't go on without help (a damaged chain, another state for the same block)
  'tx_known', // already waiting, or already in a block
  'tx_underpriced', // does not pay enough more than the one it would replace, or than what a full mempool holds
  'mempool_full',
  'snapshot_invalid',
  'trust_expired', // away longer than the trusting period: a new checkpoint is needed
  'header_invalid', // a header that the trusted one does not vouch for
  'light_attack', // two certificates for one height
  // the ledger: transactions that are refused before they stand in a block
  'wrong_chain', // made for another chain
  'nonce_too_low', // used already
  'nonce_too_high', // one before it is missing
  'tx_expired',
  'fee_too_low', // the offered fee is below what the block asks
  'fee_asset_unusable', // the token has no fee rate
  'fee_fund_empty', // the creator's fee fund can't pay the validators
  'underfunded', // the account has less than the transaction takes
  'key_not_allowed', // signed by a key that does not speak for the account
  'needs_signatures', // several people sign for the account
  'key_expired',
  'scope_missing', // the delegated key may not do that
  'request_changed', // a computer asks for something else than what was shown
  'cap_exceeded', // the delegated key has spent what it may
  'tx_too_heavy',
  // the ledger: transactions that failed and paid their fee
  'message_unknown',
  'symbol_taken',
  'token_unknown',
  'token_frozen', // the account's holding of that token is frozen
  'flag_renounced', // the token has no such power, or no longer
  'max_exceeded', // more than the token's cap
  'not_owner',
  'staking_off', // the token can't be staked
  'stake_unknown',
  'too_many', // the account has reached a limit
  'too_many_leaving', // too much stake moves away from a validator already
  'stake_moving', // redelegated stake can't move on yet
  'validator_unknown',
  'validator_exists',
  'validator_jailed',
  'validator_tombstoned',
  'not_jailed',
  'last_validator',
  'commission_invalid',
  'bond_too_small',
  'key_taken', // a key that somebody uses or used
  'head_outdated', // a later head of that chain is anchored
  'card_outdated',
  // pools
  'pool_unknown',
  'pool_exists', // of these tokens with this fee
  'path_repeats', // a path goes through one pool twice
  'slippage_exceeded', // worse than the least or most that was asked for
  'deadline_passed',
  'reserve_exceeded', // more than the pool holds
  'amount_too_small', // rounds to nothing
  'shares_exceeded', // more shares than the account has
  // vaults: which bound a move would break
  'vault_unknown',
  'cooldown', // it moved a short while ago
  'move_too_small',
  'move_too_large', // more traded with a pool than is safe at once
  'period_exhausted', // more than may move in a period
  'price_unsettled', // a pool's price is too far from its average, or has none yet
  'loss_exceeded',
  'allocation_exceeded', // more or less in a pool than declared
  'not_nearer', // not nearer to the targets
  // names and services
  'name_taken',
  'name_unknown',
  'name_expired',
  'claim_unknown', // a name has to be claimed before it is revealed
  'claim_too_new', // the claim has to stand in an earlier block
  'too_far_ahead', // rent is paid for so many days only
  // apps: the register and bundles
  'app_unknown',
  'version_not_newer', // a release no newer than the one that is there
  'release_revoked', // taken back by its publisher
  'app_blocked', // a block list that is subscribed to names it
  'app_not_installed',
  'app_id_mismatch', // an app under an id that is not its publisher's
  'manifest_invalid',
  'permission_unknown', // a manifest asks for a permission there is not
  'path_unsafe', // a path that leaves the bundle, or that not every computer can hold
  'file_missing', // a bundle lacks a file of its manifest, or has one more
  'permissions_grow', // an update needs more than was granted: a person decides
  // paid storage
  'contract_unknown',
  'contract_full', // as many hosts keep it as were asked for
  'contract_ended',
  'contract_running', // it can't be closed yet
  'fuel_short', // less quota than the contract takes
  'period_passed', // a claim or proof for a period whose time is over, or made already
  'host_unknown',
  'host_proves', // not silent long enough to be reported
  // the ledger: blocks
  'evidence_expired',
  'pruned', // this node no longer keeps that block
  // apps
  'not_granted', // the app was not given that permission, or no longer
  'rejected', // the person said no
  'method_unknown', // the provider or service has no such method
  'session_ended', // the app has to be opened anew
  'build_failed', // of an app, by its own package.json
  // services of apps
  'interface_changed', // a service has another interface than the caller knows
  'price_exceeded', // a call costs more than the caller would pay
  'payment_due', // earlier calls have to be paid first
  'service_failed', // the program behind a service could not answer
  // network
  'unreachable',
  'protocol_violation',
  'rate_limited',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** True for text that is an error code: what comes from elsewhere may be anything. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return (errorCodes as readonly unknown[]).includes(value);
}

/** The one error type of the product. Thrown or returned; crosses the contract as `{code, message, details}`. */
export class AppError extends Error {
  readonly code: ErrorCode;
  /** Facts a program may use (a path, a limit); never secrets. Plain JSON. */
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.details = options.details;
  }
}

/** True when `error` is an `AppError`, with that code if one is given. */
export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code);
}
