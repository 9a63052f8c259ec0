import { AppError, isAppError } from '../../../../src-shared/errors.ts';
import { hashOfUserId, userIdOfHash } from '../../../identity/index.ts';
import type { UserId } from '../../../identity/index.ts';
import {
  accountView,
  addressOf,
  decodeTx,
  encodeTxBody,
  hexOf,
  message,
  sameBytes,
  tokenOf,
  txHash,
} from '../../../ledger/index.ts';
import type { Address, FoundTx, WireMessage } from '../../../ledger/index.ts';
import type { Online } from '../../core.ts';
import type { Chains, OpenChain } from '../chains.ts';
import { baseOf } from '../wallet.ts';
import type { Wallet } from '../wallet.ts';
import { draftBody, simulateDraft, simulateRequest } from './draft.ts';
import type { Draft } from './draft.ts';
import { concerned, keysOfAccount, ownAddresses, ownSigners, partiesIn } from './parties.ts';
import type { SigningAnswer, SigningOffer } from './request-messages.ts';
import { createRequestRecords } from './request-records.ts';
import type { Allowances, RequestRecord } from './request-records.ts';
import {
  accountRequest,
  encodeRequest,
  gathered,
  requestId,
  signedBytes,
  signedTx,
  speaksFor,
  txBodyOf,
  validSignatures,
} from './request.ts';
import type { AccountRequest, Parties, Signature, SigningRequest, TxRequest } from './request.ts';
import { createSigningExchange } from './signing-exchange.ts';
import { activityWords } from '../../activity-words.ts';

/** An account that several people sign for, this computer's among them. */
export interface SharedAccount {
  readonly address: Address;
  readonly threshold: number;
  /** Accounts whose root keys these are. */
  readonly signers: readonly Address[];
}

/**
 * Gathers the signatures of several people: of an account of several keys, of a sponsor who pays a fee, and their consent to sign for
 * an account. Requests go to all whom they concern, over the network or by hand, and whoever has all signatures hands it in.
 */
export interface Signing {
  readonly allowances: Allowances;
  /** What is gathered in a network, the newest first, with what became of what was sent. */
  list(open: OpenChain): Promise<readonly RequestRecord[]>;
  /** By the first digits of its id. @throws AppError `not_found` */
  find(open: OpenChain, id: string): RequestRecord;
  parties(open: OpenChain, request: SigningRequest): Promise<Parties>;
  /** Accounts of several keys of which one is here. */
  accounts(open: OpenChain): Promise<readonly SharedAccount[]>;
  /** Asks people to sign for the account in use from now on, so many of them together. @throws AppError `invalid_argument` */
  askConsent(open: OpenChain, threshold: number, signers: readonly UserId[]): Promise<RequestRecord>;
  /** Makes a request of a draft, signs it here and asks the others. @throws AppError of the state machine */
  propose(open: OpenChain, draft: Draft): Promise<RequestRecord>;
  /** Adds the signatures of this computer's people; with the last one a transaction is handed in. @throws AppError `not_allowed` */
  sign(open: OpenChain, record: RequestRecord): Promise<RequestRecord>;
  /** Says no; whoever asked takes it back for all. */
  refuse(record: RequestRecord): RequestRecord;
  /** Hands in what everybody signed: the transaction, or the change of the account. @throws AppError `key_not_allowed`, `not_allowed` */
  send(open: OpenChain, record: RequestRecord): Promise<RequestRecord>;
  /** Takes a request that came by hand, or more signatures of one. @throws AppError `chain_unknown`, `malformed` */
  take(request: SigningRequest): Promise<RequestRecord>;
  forget(record: RequestRecord): void;
  stop(): void;
}

/** ms */
const lookEvery = 4000;
/** What is offered at the most, as a multiple of the fee now: the price may rise while people are waited for. */
const feeRoom = 4n;
/** Of an account's newest transactions so many are compared with what is open here. */
const lookedThrough = 64;
/** Requests that somebody else may have open here, and all together. */
const mostOfOne = 32;
const mostOpen = 500;
/** What was refused or taken back is told to the others for so long, ms. */
const tellEnded = 86_400_000;

export function createSigning(node: Online, chains: Chains, wallet: Wallet): Signing {
  const { clock, events, activity, logger } = node;
  const records = createRequestRecords(node.db);
  const exchange = createSigningExchange(node, { take: takeFrom, answered });
  let cancel: (() => void) | null = null;
  let looking = false;
  /** Something changed while it was looked. */
  let again = false;
  let stopped = false;

  const changed = ({ request }: Pick<RequestRecord, 'request'>): void => {
    events.emit('chain', { chainId: request.chainId });
    soon();
  };
  function save(record: Omit<RequestRecord, 'id'>): RequestRecord {
    const saved = records.put(record);
    changed(saved);
    return saved;
  }
  const fresh = (request: SigningRequest): Omit<RequestRecord, 'id'> => ({
    request,
    state: 'open',
    tx: null,
    code: '',
    message: '',
    refusedBy: [],
  });
  const isOwn = (address: Address): boolean => ownAddresses(node).some((one) => sameBytes(one, address));

  const parties = (open: OpenChain, request: SigningRequest): Promise<Parties> =>
    open.reader.read(
      (view) => {
        // A fee in a token that there is not could not even be shown.
        if (request.t === 'tx') tokenOf(view.state, txBodyOf(request).feeAsset);
        return partiesIn(view, request);
      },
      `parties ${hexOf(requestId(request))}`,
    );

  /** The request with those signatures added that hold and are wanted. */
  function merged<T extends SigningRequest>(request: T, wanted: Parties, more: readonly Signature[]): T {
    const sigs = validSignatures(request, [...request.sigs, ...more]).filter(
      ({ key }) => speaksFor(key, wanted.keys) ?? speaksFor(key, wanted.sponsor ?? []),
    );
    return { ...request, sigs };
  }

  /** Keeps a request, or adds the signatures it brings to those that are here. */
  async function keep(open: OpenChain, request: SigningRequest): Promise<RequestRecord> {
    const wanted = await parties(open, request);
    const known = records.get(requestId(request));
    const next = merged(known?.request ?? { ...request, sigs: [] }, wanted, request.sigs);
    if (!known) return save(fresh(next));
    return next.sigs.length === known.request.sigs.length ? known : save({ ...known, request: next });
  }

  async function takeFrom(
    from: UserId,
    request: SigningRequest,
    word: SigningOffer['word'],
  ): Promise<SigningAnswer> {
    const unknown: SigningAnswer = { state: 'unknown', request: new Uint8Array() };
    const open = chains.list().find((one) => one.record.chainId === request.chainId);
    if (!open) return unknown;
    const wanted = await parties(open, request);
    const all = concerned(request, wanted);
    const sender = hashOfUserId(from);
    // Nobody brings requests in which he has no part, or to people who have none.
    if (!all.some((one) => sameBytes(one, sender)) || !all.some(isOwn)) return unknown;
    const known = records.get(requestId(request));
    if (known?.state === 'open' && word === 'withdrawn' && sameBytes(sender, request.by)) {
      save({ ...known, state: 'withdrawn' });
    }
    if (known && word === 'refused') noteRefusal(known, from);
    if (word !== 'wanted') return unknown;
    if (known && (known.state === 'refused' || known.state === 'withdrawn')) {
      return { state: 'refused', request: new Uint8Array() };
    }
    if (!known) {
      const waiting = records.of(request.chainId).filter(({ state }) => state === 'open');
      const ofOne = waiting.filter(({ request: { by } }) => sameBytes(by, request.by) && !isOwn(by));
      if (ofOne.length >= mostOfOne || waiting.length >= mostOpen) return unknown;
    }
    const record = await keep(open, request);
    if (!known && record.request.sigs.length < request.sigs.length) {
      logger.debug({ from }, 'a request for signatures came with some that do not hold');
    }
    const paid = known ? record : await payFor(open, record, wanted);
    if (!known && paid.state === 'open') {
      const words = activityWords.signatureWanted();
      events.emit('activity', activity.add({ kind: 'member', ...words, userId: from }));
    }
    return { state: 'taken', request: encodeRequest(paid.request) };
  }

  function noteRefusal(record: RequestRecord, by: UserId): void {
    if (record.state !== 'open' || record.refusedBy.includes(by)) return;
    save({ ...record, refusedBy: [...record.refusedBy, by] });
  }

  async function answered(
    from: UserId,
    id: Uint8Array,
    state: SigningAnswer['state'],
    theirs: SigningRequest | null,
  ): Promise<void> {
    const known = records.get(id);
    if (!known || known.state !== 'open') return;
    if (state === 'refused') noteRefusal(known, from);
    if (state !== 'taken' || !theirs || !sameBytes(requestId(theirs), id)) return;
    const open = await chains.get(known.request.chainId);
    const record = await keep(open, theirs);
    // Somebody else's signature may have been the last one; whoever asked hands it in.
    if (record.request.t !== 'tx' || record.state !== 'open' || !isOwn(record.request.by)) return;
    if (gathered(record.request, await parties(open, record.request)).complete) await send(open, record);
  }

  /** Pays the fee of somebody for whom that was promised, as far as it was. */
  async function payFor(open: OpenChain, record: RequestRecord, wanted: Parties): Promise<RequestRecord> {
    const { request } = record;
    if (request.t !== 'tx' || wanted.sponsor === null) return record;
    const { sender, feePayer, feeAsset, feeMax } = txBodyOf(request);
    const { chainId } = open.record;
    if (!feePayer || !isOwn(feePayer) || feeAsset !== baseOf(open)) return record;
    const [sponsor, user] = [userIdOfHash(feePayer), userIdOfHash(sender)];
    const left = records.allowances.get(chainId, sponsor, user);
    if (left < feeMax || gathered(request, wanted).own.length < wanted.threshold) return record;
    const simulation = await open.reader.read((view) => simulateRequest(open, view, request), 'sponsored');
    if (!simulation.result.ok) return record;
    // Taken off before it is signed: a crash in between costs the promise, not the money.
    records.allowances.set(chainId, { sponsor, user, left: left - feeMax });
    return sign(open, record);
  }

  async function sign(open: OpenChain, record: RequestRecord): Promise<RequestRecord> {
    const { request } = record;
    if (record.state !== 'open') {
      throw new AppError('not_allowed', 'Signatures are not gathered for this any more.');
    }
    const wanted = await parties(open, request);
    const asked = ownSigners(node, open).filter(
      ({ publicKey }) =>
        (speaksFor(publicKey, wanted.keys) ?? speaksFor(publicKey, wanted.sponsor ?? [])) !== null &&
        !request.sigs.some(({ key }) => sameBytes(key, publicKey)),
    );
    if (asked.length === 0) throw new AppError('not_allowed', 'Your signature is not asked for here.');
    const bytes = signedBytes(request);
    const more = asked.map((one) => ({ key: one.publicKey, sig: one.sign(bytes) }));
    const signed = save({ ...record, request: merged(request, wanted, more) });
    if (signed.request.t !== 'tx' || !gathered(signed.request, wanted).complete) return signed;
    return send(open, signed);
  }

  async function send(open: OpenChain, record: RequestRecord): Promise<RequestRecord> {
    const { request } = record;
    const wanted = await parties(open, request);
    if (request.t === 'account') return changeAccount(open, record, request, wanted);
    try {
      const tx = await wallet.submit(open, signedTx(request, wanted));
      return save({ ...record, state: 'sent', tx });
    } catch (error) {
      // Somebody else who had all signatures was first.
      if (!isAppError(error, 'tx_known') && !isAppError(error, 'nonce_too_low')) throw error;
      const tx = txHash(signedTx(request, wanted));
      if (isAppError(error, 'nonce_too_low') && !(await open.reader.findTx(tx))) throw error;
      return save({ ...record, state: 'sent', tx });
    }
  }

  /** Everybody agreed: the account is told, by its one key or in a request to those that sign for it so far. */
  async function changeAccount(
    open: OpenChain,
    record: RequestRecord,
    request: AccountRequest,
    wanted: Parties,
  ): Promise<RequestRecord> {
    if (!gathered(request, wanted).complete) {
      throw new AppError('key_not_allowed', 'Not everybody whose consent is needed has given it.');
    }
    const messages = [quorumMessage(request)];
    const { account } = request;
    const row = await open.reader.read((view) => accountView(view.state, account), 'shared account');
    if (row.quorum) {
      const draft = { sender: account, sponsor: null, messages, feeIn: null };
      await propose(open, draft);
      return save({ ...record, state: 'done' });
    }
    if (!sameBytes(hashOfUserId(wallet.user()), account)) {
      throw new AppError('not_allowed', 'Only the person whose account it is can make this change.');
    }
    const tx = await wallet.send(open, { messages, feeIn: null });
    return save({ ...record, state: 'sent', tx });
  }

  const quorumMessage = ({ threshold, sigs }: AccountRequest): WireMessage =>
    message('account.setQuorum', { threshold, keys: sigs.map(({ key, sig }) => ({ key, proof: sig })) });

  /** The first number that neither a transaction nor an open request of that account has. */
  async function freeNonce(open: OpenChain, sender: Address): Promise<number> {
    const taken = new Set(
      records.of(open.record.chainId).flatMap(({ request, state }) => {
        if (request.t !== 'tx' || (state !== 'open' && state !== 'sent')) return [];
        const body = txBodyOf(request);
        return sameBytes(body.sender, sender) ? [body.nonce] : [];
      }),
    );
    let nonce = await open.reader.nextNonce(sender);
    while (taken.has(nonce)) nonce += 1;
    return nonce;
  }

  async function propose(open: OpenChain, draft: Draft): Promise<RequestRecord> {
    const nonce = await freeNonce(open, draft.sender);
    const by = hashOfUserId(wallet.user());
    const body = await open.reader.read((view) => {
      const { keys } = keysOfAccount(view, draft.sender);
      if (!ownSigners(node, open).some(({ publicKey }) => speaksFor(publicKey, keys))) {
        throw new AppError('not_allowed', 'You do not sign for this account.');
      }
      const { fee, result } = simulateDraft(open, view, draft);
      // Told before anybody is asked.
      if (!result.ok) throw new AppError(result.code as AppError['code'], result.message);
      const terms = { height: view.height, nonce, feeMax: fee.amount * feeRoom };
      return encodeTxBody(draftBody(open, draft, terms));
    }, 'propose');
    const { chainId } = open.record;
    const request: TxRequest = { t: 'tx', chainId, by, made: clock.now(), sigs: [], body };
    chains.used(open);
    // Others hear of it once it is signed here.
    return sign(open, records.put(fresh(request)));
  }

  /** What became of a transaction that was handed in. */
  async function settle(open: OpenChain, record: RequestRecord): Promise<RequestRecord> {
    const found =
      record.state === 'sent' && record.tx
        ? await open.reader.findTx(record.tx)
        : record.state === 'open' && record.request.t === 'tx'
          ? await handedInByOthers(open, record.request)
          : null;
    if (!found?.place) return record;
    const { ok, code, message: why, fee, hash } = found.place.result;
    giveBack(open, record, fee);
    return save({ ...record, state: ok ? 'done' : 'failed', tx: hash, code, message: why });
  }

  /** Whoever has the last signature hands it in, maybe with other signatures than those that are here. */
  async function handedInByOthers(open: OpenChain, request: TxRequest): Promise<FoundTx | null> {
    const { sender, nonce } = txBodyOf(request);
    const next = await open.reader.read(({ state }) => accountView(state, sender).nonce, 'handed in');
    if (next <= nonce) return null;
    const newest = await open.reader.accountTxs(sender, null, lookedThrough);
    const signed = signedBytes(request);
    return newest.find(({ bytes }) => sameBytes(decodeTx(bytes).signed, signed)) ?? null;
  }

  /** Of what was set aside for somebody's fee counts only what it came to. */
  function giveBack(open: OpenChain, { request }: RequestRecord, fee: bigint): void {
    if (request.t !== 'tx') return;
    const { feePayer, sender, feeMax } = txBodyOf(request);
    if (!feePayer || !isOwn(feePayer)) return;
    const { chainId } = open.record;
    const [sponsor, user] = [userIdOfHash(feePayer), userIdOfHash(sender)];
    const known = records.allowances.of(chainId, sponsor).some((one) => one.user === user);
    const left = records.allowances.get(chainId, sponsor, user);
    if (known) records.allowances.set(chainId, { sponsor, user, left: left + feeMax - fee });
  }

  async function look(): Promise<void> {
    for (const open of chains.list()) {
      const all = records.of(open.record.chainId);
      for (const one of all) await settle(open, one);
      const going = all.filter(
        ({ state, request }) =>
          state === 'open' ||
          // Whose word it is depends on whose request it was; what others withdrew they tell themselves.
          ((state === 'refused' || (state === 'withdrawn' && isOwn(request.by))) &&
            clock.now() - request.made < tellEnded),
      );
      const out = [];
      for (const { id, request, state } of going) {
        const people = concerned(request, await parties(open, request)).filter((one) => !isOwn(one));
        const word = state === 'refused' || state === 'withdrawn' ? state : ('wanted' as const);
        out.push({ id, request, word, concerned: people });
      }
      await exchange.deliver(out);
    }
  }
  function soon(): void {
    if (looking) {
      again = true;
      return;
    }
    looking = true;
    again = false;
    look()
      .catch((error: unknown) => logger.debug({ error: String(error) }, 'requests for signatures wait'))
      .finally(() => {
        looking = false;
        if (again && !stopped) soon();
      });
  }
  function schedule(): void {
    cancel = clock.after(lookEvery, () => {
      soon();
      schedule();
    });
  }
  schedule();
  const off = node.network.on('peerConnected', soon);

  return {
    allowances: records.allowances,
    async list(open) {
      const all = records.of(open.record.chainId);
      return Promise.all(all.map((one) => settle(open, one)));
    },
    find(open, id) {
      const found = records.of(open.record.chainId).filter((one) => hexOf(one.id).startsWith(id));
      if (found.length === 1) return found[0] as RequestRecord;
      throw new AppError('not_found', 'There is no such request for signatures.');
    },
    parties,
    async accounts(open) {
      const named = records
        .of(open.record.chainId)
        .map(({ request }) => (request.t === 'account' ? request.account : txBodyOf(request).sender));
      const all = [...new Map([...ownAddresses(node), ...named].map((one) => [hexOf(one), one])).values()];
      const keys = ownSigners(node, open).map(({ publicKey }) => publicKey);
      return open.reader.read(
        ({ state }) =>
          all.flatMap((address) => {
            const { quorum } = accountView(state, address);
            const ours = quorum?.keys.some((key) => keys.some((own) => sameBytes(own, key)));
            if (!quorum || !(ours || isOwn(address))) return [];
            return [{ address, threshold: quorum.threshold, signers: quorum.keys.map(addressOf) }];
          }),
        'shared accounts',
      );
    },
    async askConsent(open, threshold, signers) {
      const terms = { threshold, signers };
      const request = accountRequest(open.record.chainId, wallet.user(), terms, clock.now());
      const record = save(fresh(request));
      return request.signers.some(isOwn) ? sign(open, record) : record;
    },
    propose,
    sign,
    refuse(record) {
      const state = isOwn(record.request.by) ? 'withdrawn' : 'refused';
      return record.state === 'open' ? save({ ...record, state }) : record;
    },
    send,
    async take(request) {
      return keep(await chains.get(request.chainId), request);
    },
    forget(record) {
      records.remove(record.id);
      changed(record);
    },
    stop() {
      stopped = true;
      off();
      cancel?.();
      exchange.stop();
    },
  };
}
