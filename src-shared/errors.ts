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
  // hosting
  'not_hosted', // the asked computer keeps nothing of that drive
  'contract_invalid', // a replica contract is out of date, not for this host or not by someone who may make it
  'quota_exceeded', // more than the host lends, or than the contract reserves
  'overcommitted', // a host refuses what its own contract reserves
  'audit_failed', // a host could not prove that it keeps a block
  'repair_refused', // a host does not bring back what it lost
  'disqualified', // a host failed too many audits
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
