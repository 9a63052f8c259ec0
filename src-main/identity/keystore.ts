import { z } from 'zod';
import { AppError } from '../../src-shared/errors.ts';
import type { RandomBytes } from '../../src-shared/runtime.ts';
import type { KeystoreFiles } from './keystore-files.ts';
import { removeKeyFile } from './keystore-protection.ts';
import type { KeyProtector, Protection, WrapRecord } from './keystore-protection.ts';
import { aesGcmOpen, aesGcmSeal, sha256, wipe } from './primitives.ts';
import { encodeStrict, equalBytes } from './strict-cbor.ts';

/*
 * keystore.json: {format, v, protection, wrap, public, nonce, sealed, check}. A random master key, wrapped by the protector,
 * encrypts the secret content (AES-256-GCM, a new nonce for each save); everything else is authenticated with it. `check` is a
 * plain SHA-256 over the rest: it tells a damaged file from a wrong password, nothing more.
 */
const fileName = 'keystore.json';
const maxFileBytes = 8 * 1024 * 1024;

const fileSchema = z.strictObject({
  format: z.literal('extrachain-keystore'),
  v: z.literal(1),
  protection: z.enum(['password', 'keychain', 'none']),
  wrap: z.record(z.string(), z.union([z.string(), z.number()])),
  public: z.base64(),
  nonce: z.base64(),
  sealed: z.base64(),
  check: z.base64(),
});

/** What a keystore holds; both parts are the caller's own encoding. */
export interface KeystoreContent {
  /** Readable while locked, cannot be changed unnoticed. */
  readonly public: Uint8Array;
  readonly secret: Uint8Array;
}

/** One keystore file. It keeps the master key in memory while open, never the content. */
export interface Keystore {
  /** What the file says while locked, not yet authenticated; null when there is no file. Throws `corrupt`. */
  peek(): { readonly protection: Protection; readonly public: Uint8Array } | null;
  /** Makes the file. Throws `already_exists` when there is any file of that name, damaged or not. */
  create(protector: KeyProtector, content: KeystoreContent): Promise<void>;
  /** Throws `not_found`, `wrong_password`, `corrupt`, `invalid_argument` (another protector made it). */
  open(protector: KeyProtector): Promise<KeystoreContent>;
  /** Throws `wrong_password` when this protector would not open the keystore, which is open. */
  verify(protector: KeyProtector): Promise<void>;
  /** Replaces the content, durably. Throws `keystore_locked`, and `corrupt` when someone else changed the file. */
  save(content: KeystoreContent): void;
  /** Re-encrypts under a new master key and protector; `content` is asked when the slow part is done. */
  protect(protector: KeyProtector, content: () => KeystoreContent): Promise<void>;
  /** Wipes the master key. */
  lock(): void;
}

interface Parsed {
  readonly protection: Protection;
  readonly wrap: WrapRecord;
  readonly public: Uint8Array;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
  readonly check: Uint8Array;
}

export function createKeystore(deps: {
  readonly files: KeystoreFiles;
  readonly random: RandomBytes;
}): Keystore {
  const { files, random } = deps;
  /** The open file: its key, how that is wrapped, and the checksum it had when we last read or wrote it. */
  let current: { masterKey: Uint8Array; protection: Protection; wrap: WrapRecord; check: Uint8Array } | null =
    null;

  function read(): Parsed | null {
    const bytes = files.read(fileName, maxFileBytes);
    return bytes && parseFile(bytes);
  }

  function seal(
    masterKey: Uint8Array,
    protection: Protection,
    wrap: WrapRecord,
    content: KeystoreContent,
  ): void {
    const nonce = random(12);
    const sealed = aesGcmSeal(masterKey, nonce, content.secret, associated(protection, wrap, content.public));
    const parts = { protection, wrap, public: content.public, nonce, sealed };
    const check = checksum(parts);
    files.write(fileName, formatFile({ ...parts, check }));
    if (current && current.masterKey !== masterKey) wipe(current.masterKey);
    current = { masterKey, protection, wrap, check };
  }

  /** A file that changed behind our back (a restored copy, another program) is never overwritten. */
  function mustBeUnchanged(): NonNullable<typeof current> {
    if (!current) throw new AppError('keystore_locked', 'The keystore is locked; a password is needed.');
    const stored = read();
    if (!stored || !equalBytes(stored.check, current.check)) {
      throw new AppError('corrupt', `The file ${fileName} was changed by another program; please restart.`);
    }
    return current;
  }

  return {
    peek() {
      const stored = read();
      return stored && { protection: stored.protection, public: stored.public };
    },
    async create(protector, content) {
      const refuse = (): void => {
        if (!files.read(fileName, Number.MAX_SAFE_INTEGER)) return;
        throw new AppError('already_exists', 'There is a keystore already.');
      };
      refuse();
      const masterKey = random(32);
      const wrap = await protector.wrap(masterKey);
      refuse();
      seal(masterKey, protector.kind, wrap, content);
    },
    async open(protector) {
      const stored = read();
      if (!stored) throw new AppError('not_found', 'There is no keystore yet.');
      if (stored.protection !== protector.kind) {
        const code = stored.protection === 'password' ? 'keystore_locked' : 'invalid_argument';
        throw new AppError(code, protectionSentence[stored.protection]);
      }
      const masterKey = await protector.unwrap(stored.wrap);
      const aad = associated(stored.protection, stored.wrap, stored.public);
      const secret = masterKey.length === 32 ? aesGcmOpen(masterKey, stored.nonce, stored.sealed, aad) : null;
      if (!secret) {
        wipe(masterKey);
        throw damaged();
      }
      wipe(current?.masterKey);
      current = { masterKey, protection: stored.protection, wrap: stored.wrap, check: stored.check };
      const content = { public: stored.public, secret };
      if (protector.outdated?.()) {
        // The old wrapping still opens; a keychain that refuses now is asked again at the next start.
        const wrap = await protector.wrap(masterKey).catch(() => null);
        if (wrap && current?.masterKey === masterKey) seal(masterKey, protector.kind, wrap, content);
      }
      return content;
    },
    async verify(protector) {
      const { masterKey, protection, wrap } = mustBeUnchanged();
      if (protector.kind !== protection)
        throw new AppError('invalid_argument', protectionSentence[protection]);
      const unwrapped = await protector.unwrap(wrap);
      const same = equalBytes(unwrapped, masterKey);
      wipe(unwrapped);
      if (!same && current) throw damaged();
    },
    save(content) {
      const { masterKey, protection, wrap } = mustBeUnchanged();
      seal(masterKey, protection, wrap, content);
    },
    async protect(protector, content) {
      mustBeUnchanged();
      const masterKey = random(32);
      const wrap = await protector.wrap(masterKey);
      mustBeUnchanged();
      seal(masterKey, protector.kind, wrap, content());
      if (protector.kind !== 'none') removeKeyFile(files);
    },
    lock() {
      wipe(current?.masterKey);
      current = null;
    },
  };
}

const protectionSentence: Readonly<Record<Protection, string>> = {
  password: 'The keystore is locked; a password is needed.',
  keychain: 'The keystore is protected by the system keychain of the desktop application.',
  none: 'The keystore has no password.',
};

/** What the content's encryption authenticates besides the content. */
function associated(protection: Protection, wrap: WrapRecord, open: Uint8Array): Uint8Array {
  return encodeStrict(['extrachain keystore v1', protection, wrap, open]);
}

function checksum(parts: Omit<Parsed, 'check'>): Uint8Array {
  return sha256(associated(parts.protection, parts.wrap, parts.public), parts.nonce, parts.sealed);
}

function formatFile(parts: Parsed): Uint8Array {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const file: z.infer<typeof fileSchema> = {
    format: 'extrachain-keystore',
    v: 1,
    protection: parts.protection,
    wrap: { ...parts.wrap },
    public: base64(parts.public),
    nonce: base64(parts.nonce),
    sealed: base64(parts.sealed),
    check: base64(parts.check),
  };
  return Buffer.from(`${JSON.stringify(file, null, 2)}\n`);
}

function parseFile(bytes: Uint8Array): Parsed {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw damaged();
  }
  const result = fileSchema.safeParse(json);
  if (!result.success) {
    const version = (json as { format?: unknown; v?: unknown } | null) ?? {};
    if (version.format === 'extrachain-keystore' && typeof version.v === 'number' && version.v > 1) {
      throw new AppError(
        'unsupported',
        'The keystore was written by a newer version of this program; please update it.',
      );
    }
    throw damaged();
  }
  const file = result.data;
  const raw = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
  const parsed = {
    protection: file.protection,
    wrap: file.wrap,
    public: raw(file.public),
    nonce: raw(file.nonce),
    sealed: raw(file.sealed),
    check: raw(file.check),
  };
  let fits: boolean;
  try {
    fits = parsed.nonce.length === 12 && equalBytes(parsed.check, checksum(parsed));
  } catch {
    fits = false; // a number in `wrap` that strict dag-cbor cannot hold
  }
  if (!fits) throw damaged();
  return parsed;
}

function damaged(): AppError {
  return new AppError(
    'corrupt',
    `The keystore file ${fileName} is damaged. Put a copy of it back, or move it away and restore from your recovery phrase.`,
  );
}
