import { entropyToMnemonic, mnemonicToEntropy, mnemonicToSeedSync } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { HDKey } from 'micro-key-producer/slip10.js';
import { AppError } from '../../src-shared/errors.ts';
import { maxEncKeyNumber } from './card.ts';
import { wipe } from './primitives.ts';

/*
 * BIP-39 phrase -> seed (no passphrase) -> SLIP-0010, curve ed25519, all steps hardened. Paths, with E = 0x455843 ("EXC"):
 *
 *   m/E'/actor'/0'        root signing key of the actor, Ed25519
 *   m/E'/actor'/1'/n'     encryption key number n of the actor: the 32 bytes are its X25519 secret
 *   m/E'/actor'/2'/...    reserved: ledger keys
 *   m/E'/actor'/3'/...    reserved (accounts for apps come from encryption secret 0, which linked computers have too)
 *
 * Actors and encryption keys are numbered from 0, so the phrase and a card (which says how many times the key was
 * replaced) bring back every secret.
 */
const purpose = 0x455843;
const branch = { root: 0, encryption: 1 } as const;

export const maxActors = 1000;

/** The words of some entropy (16 or 32 bytes), separated by single spaces. */
export function phraseOf(entropy: Uint8Array): string {
  return entropyToMnemonic(entropy, wordlist);
}

/**
 * Reads a phrase of 12 or 24 English words; capitals, line breaks and numbering between the words are forgiven.
 * @returns its entropy, 16 or 32 bytes
 * @throws AppError `phrase_invalid` naming an unknown word's position (never the word), or when the checksum fails
 */
export function parsePhrase(text: string): Uint8Array {
  const words =
    text
      .slice(0, 2000)
      .normalize('NFKD')
      .toLowerCase()
      .match(/[a-z]+/g) ?? [];
  if (words.length !== 12 && words.length !== 24) {
    throw new AppError(
      'phrase_invalid',
      `A recovery phrase has 12 or 24 words; this one has ${words.length}.`,
    );
  }
  const unknown = words.findIndex((word) => !wordlist.includes(word));
  if (unknown >= 0) {
    throw new AppError(
      'phrase_invalid',
      `Word ${unknown + 1} of the recovery phrase is not in the word list.`,
      {
        details: { position: unknown + 1 },
      },
    );
  }
  try {
    return mnemonicToEntropy(words.join(' '), wordlist);
  } catch {
    // No `cause`: it goes to the log, and the library's message may hold words of the phrase.
    throw new AppError(
      'phrase_invalid',
      'The recovery phrase is mistyped or its words are in the wrong order.',
    );
  }
}

/** The keys of one phrase. Holds the master node until `forget`. */
export interface KeyTree {
  /** Ed25519 secret of an actor's root signing key, 32 bytes; the caller wipes it. */
  rootSecret(actor: number): Uint8Array;
  /** X25519 secret number `n` of an actor, 32 bytes; the caller wipes it. */
  encSecret(actor: number, n: number): Uint8Array;
  forget(): void;
}

/** Derives the key tree of a phrase's entropy. Takes some 20 ms (PBKDF2 with 2048 rounds). */
export function createKeyTree(entropy: Uint8Array): KeyTree {
  const seed = mnemonicToSeedSync(phraseOf(entropy));
  const master = HDKey.fromMasterSeed(seed);
  wipe(seed);
  let top: HDKey | null = step(master, purpose);
  forgetNode(master);

  /** The secret at a path below m/E'; every node on the way is wiped. */
  const derive = (...path: readonly number[]): Uint8Array => {
    if (!top) throw new AppError('keystore_locked', 'The keystore is locked; a password is needed.');
    let node = top;
    for (const index of path) {
      const child = step(node, index);
      if (node !== top) forgetNode(node);
      node = child;
    }
    const secret = Uint8Array.from(node.privateKey);
    forgetNode(node);
    return secret;
  };
  return {
    rootSecret: (actor) => derive(checked(actor, maxActors - 1), branch.root),
    encSecret: (actor, n) =>
      derive(checked(actor, maxActors - 1), branch.encryption, checked(n, maxEncKeyNumber)),
    forget() {
      if (top) forgetNode(top);
      top = null;
    },
  };
}

const step = (node: HDKey, index: number): HDKey => node.deriveChild(0x80000000 + index);
const forgetNode = (node: HDKey): void => wipe(node.privateKey, node.chainCode);

function checked(n: number, max: number): number {
  if (Number.isSafeInteger(n) && n >= 0 && n <= max) return n;
  throw new AppError('invalid_argument', 'There is no key with this number.');
}
