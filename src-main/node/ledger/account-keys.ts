import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { hashOfUserId } from '../../identity/index.ts';
import type { DeviceId } from '../../identity/index.ts';
import { accountView, fieldsOfMessage, message, sameBytes } from '../../ledger/index.ts';
import type { LedgerView, MessageFields, WireMessage } from '../../ledger/index.ts';
import type { FrameStream, ProtocolOptions } from '../../network/index.ts';
import type { Online } from '../core.ts';
import type { Chains, OpenChain } from './chains.ts';
import {
  decodeKeyAnswer,
  decodeKeyRequest,
  encodeKeyAnswer,
  encodeKeyRequest,
  maxKeyMessage,
} from './key-messages.ts';
import type { KeyAnswerMessage, KeyRequestMessage, KeyTerms } from './key-messages.ts';
import { createKeyRecords } from './key-records.ts';
import type { KeyRecord } from './key-records.ts';
import type { Wallet } from './wallet.ts';
import { activityWords } from '../activity-words.ts';

/** A key that speaks for the account besides the root key, or wants to. */
export interface AccountKey {
  /** Of the computer that has it; null: this computer does not know which. */
  readonly device: DeviceId | null;
  readonly key: Uint8Array;
  readonly terms: KeyTerms;
  readonly state: 'asked' | 'active' | 'expired' | 'denied' | 'revoking' | 'sent';
}

/**
 * Keys of linked computers that sign for the account, with scopes, spending caps and an end. A linked computer asks the others of
 * its user, a person says yes on one that has the phrase, and the ledger is told. A revoked computer loses its key.
 */
export interface AccountKeys {
  /** Those in the ledger with what is left to spend, and those that were asked for. */
  list(open: OpenChain): Promise<readonly AccountKey[]>;
  /** Asks for a key for this computer; the question is repeated until somebody answers. @throws AppError `not_allowed` where the phrase is */
  ask(open: OpenChain, terms: KeyTerms): void;
  /**
   * What a computer, by its id or name, asks for with that key (32 bytes).
   * @throws AppError `not_found`; `request_changed` when it asks with another key by now
   */
  asked(open: OpenChain, device: string, key: Uint8Array): KeyRecord;
  /** The message that allows a key on these terms. @throws AppError `not_allowed` for a computer that was revoked */
  allowMessage(record: KeyRecord, terms: KeyTerms): WireMessage;
  /** The ledger is about to be told: the key is not forgotten any more, whatever the computer asks for next. */
  allowing(record: KeyRecord): void;
  /** Remembers that the ledger was told this message of `allowMessage`. */
  allowed(record: KeyRecord, told: WireMessage): void;
  deny(open: OpenChain, device: string): void;
  /** Messages that take keys back, all of a computer or the one named in hex. @throws AppError `not_found` */
  revokeMessages(open: OpenChain, view: LedgerView, name: string): WireMessage[];
  /** Remembers that those keys are to be gone: asked for again until they are. */
  revoking(open: OpenChain, name: string): void;
  /** A computer was cut off: its keys are taken back on every network, at once or as soon as that can be. */
  deviceRevoked(device: DeviceId): void;
  /** Whether this computer may make such messages in that network. */
  may(open: OpenChain, type: string): Promise<boolean>;
  /** Link of the network that another computer of this user uses; null: nobody who says so is connected. */
  networkOfOthers(signal: AbortSignal): Promise<string | null>;
  stop(): void;
}

const protocol = 'account-keys/1';
const options: ProtocolOptions = { maxFrame: maxKeyMessage, maxStreams: 4, idleTimeout: 15_000, maxRate: 10 };
/** Messages of one transaction. */
const maxMessages = 16;
/** ms */
const askEvery = 5000;

export function createAccountKeys(node: Online, chains: Chains, wallet: Wallet): AccountKeys {
  const { network, identity, clock, events, logger, activity } = node;
  const records = createKeyRecords(node.db);
  const ended = new AbortController();
  let cancel: (() => void) | null = null;
  let working = false;

  const changed = (chainId: string): void => events.emit('chain', { chainId });
  const ownDevice = (): DeviceId => identity.deviceId;

  /** Connected computers of this user. */
  const others = (): DeviceId[] =>
    network
      .peers()
      .map(({ peerId }) => peerId)
      .filter((peer) => isOwn(peer));
  const isOwn = (peer: DeviceId): boolean => {
    const user = identity.userId();
    return (
      user !== null &&
      network.cards.userOf(peer) === user &&
      identity.devices().some((one) => one.deviceId === peer && one.revokedAt === null)
    );
  };

  const keysIn = ({ state }: LedgerView) => accountView(state, hashOfUserId(wallet.user())).keys;

  network.handle(protocol, options, async (stream) => {
    const frame = await stream.read();
    if (frame === null) return;
    if (!isOwn(stream.peer)) throw new AppError('forbidden', 'Keys are the matter of one’s own computers.');
    await stream.send(encodeKeyAnswer(answer(stream, decodeKeyRequest(frame))));
    await stream.close();
  });

  function answer({ peer }: FrameStream, request: KeyRequestMessage): KeyAnswerMessage {
    if (request.t === 'network') {
      const open = chains.current();
      return { t: 'network', link: open && !open.record.provisional ? chains.linkOf(open) : '' };
    }
    const { chainId, key, terms } = request;
    const known = records.get(chainId, peer, key);
    // To be taken back first: a question does not bring it back.
    if (known?.state === 'revoking') return { t: 'asked', state: 'denied' };
    const same = known && sameBytes(known.key, key) && JSON.stringify(known.terms) === JSON.stringify(terms);
    if (known && same && known.state !== 'asked') {
      return { t: 'asked', state: known.state === 'allowed' ? 'allowed' : 'denied' };
    }
    if (!known || !same) {
      records.put({ chainId, device: peer, key, terms, state: 'asked' });
      const name = identity.devices().find((one) => one.deviceId === peer)?.name ?? peer;
      events.emit(
        'activity',
        activity.add({ kind: 'device', ...activityWords.walletAsked(name), peerId: peer }),
      );
      changed(chainId);
    }
    return { t: 'asked', state: 'waiting' };
  }

  async function askPeer(peer: DeviceId, request: KeyRequestMessage, signal: AbortSignal) {
    const stream = await network.open(peer, protocol, options, signal);
    try {
      await stream.send(encodeKeyRequest(request));
      const frame = await stream.read(signal);
      if (frame === null) throw new AppError('unreachable', 'The other computer gave no answer.');
      void stream.close();
      return decodeKeyAnswer(frame);
    } catch (error) {
      stream.abort(error as Error);
      throw error;
    }
  }

  /** Repeats this computer's own question until somebody answered, or the ledger has the key. */
  async function askAgain(own: KeyRecord): Promise<void> {
    const { chainId, key, terms } = own;
    for (const peer of others()) {
      try {
        const told = await askPeer(peer, { t: 'ask', chainId, key, terms }, ended.signal);
        if (told.t !== 'asked' || told.state === 'waiting') continue;
        const now = records.get(chainId, ownDevice(), key);
        if (!now || now.state !== 'asked') return;
        records.put({ ...now, state: told.state });
        changed(chainId);
        return;
      } catch (error) {
        logger.debug({ peer, error: String(error) }, 'a computer was not asked for a key');
      }
    }
  }

  /** Takes back what is to be taken back, where the ledger still has it. */
  async function takeBack(open: OpenChain, due: readonly KeyRecord[]): Promise<void> {
    // What allows a key may still be on its way: gone is only what is not there when nothing is.
    const waiting = await wallet.waiting(open);
    if (waiting.length > 0) return;
    const present = await open.reader.read((view) => keysIn(view).map((one) => one.key), 'account keys');
    const gone = due.filter((one) => !present.some((key) => sameBytes(key, one.key)));
    for (const one of gone) records.remove(one);
    const still = due.filter((one) => !gone.includes(one));
    if (still.length === 0) return;
    const messages = still.slice(0, maxMessages).map(({ key }) => message('account.revokeKey', { key }));
    await wallet.send(open, { messages, feeIn: null });
  }

  async function work(): Promise<void> {
    for (const open of chains.list()) {
      const all = records.of(open.record.chainId);
      if (identity.status().linked) {
        const own = all.find((one) => one.device === ownDevice() && one.state === 'asked');
        if (own) await askAgain(own);
        continue;
      }
      const due = all.filter((one) => one.state === 'revoking');
      if (due.length > 0) await takeBack(open, due);
    }
  }

  function schedule(): void {
    cancel = clock.after(askEvery, () => {
      if (!working) soon();
      schedule();
    });
  }
  function soon(): void {
    working = true;
    work()
      .catch((error: unknown) => logger.debug({ error: String(error) }, 'keys of the account wait'))
      .finally(() => (working = false));
  }
  schedule();

  const keysOf = (open: OpenChain, name: string): readonly KeyRecord[] => {
    const device = deviceNamed(name);
    return device ? records.ofDevice(open.record.chainId, device) : [];
  };
  const isRevoked = (device: DeviceId): boolean =>
    identity.devices().some((one) => one.deviceId === device && one.revokedAt !== null);

  /** A computer of this user by its id or name, or null. */
  function deviceNamed(name: string): DeviceId | null {
    const all = identity.devices();
    const found = all.find((one) => one.deviceId === name) ?? all.find((one) => one.name === name);
    return found?.deviceId ?? null;
  }

  return {
    async list(open) {
      const { chainId } = open.record;
      const known = records.of(chainId);
      const { keys, time } = await open.reader.read(
        (view) => ({ keys: keysIn(view), time: view.time }),
        'account keys',
      );
      const found = keys.map(({ key, scopes, caps, expiry }): AccountKey => {
        const record = known.find((one) => sameBytes(one.key, key));
        const state = record?.state === 'revoking' ? 'revoking' : expiry <= time ? 'expired' : 'active';
        const own = sameBytes(key, open.delegatedKey.publicKey) ? ownDevice() : null;
        const terms = {
          scopes: [...scopes],
          caps: caps.map(({ symbol, amount }) => ({ symbol, amount: amount.toString() })),
          expiry,
        };
        return { device: record?.device ?? own, key, terms, state };
      });
      const waiting = known
        // Who has a key may ask for it again, on other terms or after its end.
        .filter(
          (one) =>
            (one.state === 'asked' && !identity.status().linked) ||
            (one.state !== 'revoking' && !keys.some(({ key }) => sameBytes(key, one.key))),
        )
        .map(({ device, key, terms, state }): AccountKey => ({
          ...{ device, key, terms },
          state: state === 'allowed' ? 'sent' : (state as 'asked' | 'denied'),
        }));
      return [...waiting, ...found];
    },

    ask(open, terms) {
      if (!identity.status().linked) {
        throw new AppError(
          'not_allowed',
          'This computer has the recovery phrase and signs with the root key.',
        );
      }
      const key = open.delegatedKey.publicKey;
      records.put({ chainId: open.record.chainId, device: ownDevice(), key, terms, state: 'asked' });
      changed(open.record.chainId);
      if (!working) soon();
    },

    asked(open, name, key) {
      const all = keysOf(open, name);
      const found = all.find((one) => sameBytes(one.key, key));
      if (found && found.state !== 'revoking') return found;
      if (all.some((one) => one.state === 'asked')) {
        throw new AppError('request_changed', 'This computer asks with another key by now; look again.');
      }
      throw new AppError('not_found', 'This computer did not ask for this key.');
    },
    allowMessage({ device, key }, { scopes, caps, expiry }) {
      if (isRevoked(device)) throw new AppError('not_allowed', 'This computer was revoked.');
      return message('account.delegateKey', {
        ...{ key, scopes, expiry },
        caps: caps.map(({ symbol, amount }) => ({ symbol, amount: BigInt(amount) })),
      });
    },
    allowing: (record) => records.keep(record),
    allowed({ chainId, device }, told) {
      const { key, scopes, caps, expiry } = fieldsOfMessage(told) as MessageFields<'account.delegateKey'>;
      const amounts = caps.map(({ symbol, amount }) => ({ symbol, amount: amount.toString() }));
      const terms = { scopes: [...scopes], caps: amounts, expiry };
      // It may have been cut off while the transaction was handed in.
      const now = records.get(chainId, device, key);
      const state = isRevoked(device) || now?.state === 'revoking' ? 'revoking' : 'allowed';
      records.put({ chainId, device, key, terms, state });
      changed(chainId);
    },
    deny(open, name) {
      const asking = keysOf(open, name).filter((one) => one.state === 'asked');
      if (asking.length === 0) throw new AppError('not_found', 'This computer does not ask any more.');
      for (const one of asking) records.put({ ...one, state: 'denied' });
      changed(open.record.chainId);
    },

    revokeMessages(open, view, name) {
      const own = keysOf(open, name).map(({ key }) => Buffer.from(key).toString('hex'));
      const wanted = new Set([...own, name.toLowerCase()]);
      const found = keysIn(view).filter(({ key }) => wanted.has(Buffer.from(key).toString('hex')));
      if (found.length === 0) throw new AppError('not_found', 'The account has no such delegated key.');
      // More than fit into a transaction are taken back in the next one, see `revoking`.
      return found.slice(0, maxMessages).map(({ key }) => message('account.revokeKey', { key }));
    },
    revoking(open, name) {
      const { chainId } = open.record;
      const named = records
        .of(chainId)
        .filter(({ key }) => Buffer.from(key).toString('hex') === name.toLowerCase());
      for (const one of [...keysOf(open, name), ...named]) records.put({ ...one, state: 'revoking' });
      changed(chainId);
    },
    deviceRevoked(device) {
      records.revoke(device);
      if (!working) soon();
    },

    async may(open, type) {
      if (!identity.status().linked) {
        const address = hashOfUserId(wallet.user());
        return open.reader.read(({ state }) => accountView(state, address).quorum === null, 'account keys');
      }
      const { publicKey } = open.delegatedKey;
      return open.reader.read(
        (view) =>
          keysIn(view).some(
            ({ key, scopes, expiry }) =>
              sameBytes(key, publicKey) &&
              expiry > view.time &&
              (scopes.includes(type) || scopes.includes(type.slice(0, type.indexOf('.')))),
          ),
        'account keys',
      );
    },

    async networkOfOthers(signal) {
      for (const peer of others()) {
        try {
          const told = await askPeer(peer, { t: 'network' }, signal);
          if (told.t === 'network' && told.link !== '') return told.link;
        } catch (error) {
          if (signal.aborted || isAppError(error, 'shutting_down')) throw error;
          logger.debug({ peer, error: String(error) }, 'a computer did not tell its network');
        }
      }
      return null;
    },

    stop() {
      ended.abort();
      cancel?.();
    },
  };
}
