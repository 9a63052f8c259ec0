import { formatAmount, parseAmount } from '../../../src-shared/amount.ts';
import type { SigningRequest, TxPreview, WalletAct } from '../../../src-shared/contract/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { NodeServices } from '../../api/index.ts';
import { hashOfUserId, userIdOfHash } from '../../identity/index.ts';
import type { UserId } from '../../identity/index.ts';
import { accountView, sameBytes, tokenOf } from '../../ledger/index.ts';
import type { Address, LedgerView, WireMessage } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import type { ActMessages } from './act-messages.ts';
import type { Chains, OpenChain } from './chains.ts';
import { hex, iso, shownMessage, shownPreview } from './shown.ts';
import { simulateDraft, simulateRequest } from './signing/draft.ts';
import type { Draft } from './signing/draft.ts';
import { ownAddresses, ownSigners } from './signing/parties.ts';
import type { RequestRecord } from './signing/request-records.ts';
import { formatRequest, gathered, parseRequest, speaksFor, txBodyOf } from './signing/request.ts';
import type { KeyHolder, Parties } from './signing/request.ts';
import type { Signing } from './signing/signing.ts';
import { needsPassword } from './spending.ts';
import { baseOf } from './wallet.ts';
import type { Wallet } from './wallet.ts';

interface Services {
  /** Each throws while the keystore is locked. */
  readonly online: () => Online;
  readonly chains: () => Chains;
  readonly wallet: () => Wallet;
  readonly signing: () => Signing;
  readonly acts: ActMessages;
}

interface Drafted {
  readonly act: WalletAct;
  readonly account: string | null;
  readonly sponsor: string | null;
}

/** How long is waited between two looks at a request that somebody waits for, ms. */
const pause = 500;

/** Accounts of several keys, sponsors and requests for signatures, as the contract has them. */
export function createSigningServices({
  online,
  chains,
  wallet,
  signing,
  acts,
}: Services): Pick<NodeServices, 'signing'> {
  const active = (): Promise<OpenChain> => chains().get(null);
  const isOwn = (address: Address): boolean => ownAddresses(online()).some((one) => sameBytes(one, address));

  function draftOf(open: OpenChain, view: LedgerView, { act, account, sponsor }: Drafted): Draft {
    const sender = hashOfUserId(account ?? wallet().user());
    const payer = sponsor === null ? null : hashOfUserId(sponsor);
    if (payer !== null && sameBytes(payer, sender)) {
      throw new AppError('invalid_argument', 'A sponsor is somebody else than the one who sends.');
    }
    const messages = acts.messagesOf(open, view, sender, act);
    return { sender, sponsor: payer, messages, feeIn: act.input.feeIn ?? null };
  }

  const checkPassword = async (asked: boolean, password: string | undefined): Promise<void> => {
    if (asked) await online().identity.checkPassword(password ?? '');
  };

  /** What of a request is signed for here: the messages, where an account of ours is among them. */
  const signedFor = (request: RequestRecord['request']): readonly WireMessage[] =>
    request.t === 'tx' ? txBodyOf(request).msgs : [];

  const asks = (open: OpenChain, record: RequestRecord): Promise<boolean> =>
    open.reader.read(
      (view) => needsPassword(online(), open, view, signedFor(record.request)),
      `asks ${hex(record.id)}`,
    );

  async function shown(open: OpenChain, record: RequestRecord): Promise<SigningRequest> {
    const wanted = await signing().parties(open, record.request);
    const keys = ownSigners(online(), open).map(({ publicKey }) => publicKey);
    return open.reader.read(
      (view) => shownRequest(view, open, record, wanted, keys),
      `request ${hex(record.id)}`,
    );
  }

  function shownRequest(
    view: LedgerView,
    open: OpenChain,
    record: RequestRecord,
    wanted: Parties,
    keys: readonly Uint8Array[],
  ): SigningRequest {
    const { request, refusedBy } = record;
    const signed = (holder: KeyHolder): boolean =>
      request.sigs.some(({ key }) => speaksFor(key, [holder]) !== null);
    const person = (holder: KeyHolder) => {
      const userId = userIdOfHash(holder.address);
      const refused = refusedBy.includes(userId);
      return { userId, signed: signed(holder), refused, own: isOwn(holder.address) };
    };
    const { own, sponsor: paid, complete } = gathered(request, wanted);
    const body = request.t === 'tx' ? txBodyOf(request) : null;
    const holders = [
      ...(own.length < wanted.threshold ? wanted.keys : []),
      ...(paid === null ? (wanted.sponsor ?? []) : []),
    ];
    const open_ = record.state === 'open';
    const late =
      body === null || !open_
        ? null
        : body.validUntil <= view.height
          ? ('expired' as const)
          : body.nonce < accountView(view.state, body.sender).nonce
            ? ('overtaken' as const)
            : null;
    // Only who asked hears of the change by its transaction; the others see it in the account.
    const quorum = request.t === 'account' ? accountView(view.state, request.account).quorum : null;
    const shared =
      open_ &&
      complete &&
      request.t === 'account' &&
      quorum?.threshold === request.threshold &&
      quorum.keys.length === wanted.keys.length;
    const payer = wanted.sponsor?.find(signed) ?? wanted.sponsor?.[0];
    const account = request.t === 'tx' ? txBodyOf(request).sender : request.account;
    return {
      id: hex(record.id),
      kind: request.t === 'tx' ? 'transaction' : 'account',
      chain: request.chainId,
      account: userIdOfHash(account),
      by: userIdOfHash(request.by),
      own: isOwn(request.by),
      made: iso(request.made),
      state: late ?? (shared ? 'done' : open_ && complete ? 'complete' : record.state),
      threshold: request.t === 'account' ? request.threshold : wanted.threshold,
      signers: wanted.keys.map(person),
      sponsor: payer ? person(payer) : null,
      behind:
        body && open_ && late === null
          ? Math.max(0, body.nonce - accountView(view.state, body.sender).nonce)
          : 0,
      yours:
        open_ &&
        late === null &&
        keys.some(
          (key) => speaksFor(key, holders) !== null && !request.sigs.some((one) => sameBytes(one.key, key)),
        ),
      messages: body ? body.msgs.map((one) => shownMessage(view, baseOf(open), body.sender, one)) : [],
      feeMax: body && formatAmount(body.feeMax, tokenOf(view.state, body.feeAsset).spec.decimals),
      feeAsset: body && body.feeAsset,
      hash: record.tx && hex(record.tx),
      code: record.code,
      message: record.message,
      text: formatRequest(request),
    };
  }

  const nothingHappens = (open: OpenChain): TxPreview => ({
    ...{ fee: '0', feeAsset: baseOf(open), changes: [], code: '', message: '', password: false },
  });

  return {
    signing: {
      async accounts() {
        const open = await active();
        const found = await signing().accounts(open);
        return found.map(({ address, threshold, signers }) => ({
          account: userIdOfHash(address),
          threshold,
          signers: signers.map((one) => userIdOfHash(one)),
          own: isOwn(address),
        }));
      },
      async share({ threshold, signers }) {
        const open = await active();
        return shown(open, await signing().askConsent(open, threshold, signers as UserId[]));
      },
      async preview(drafted) {
        const open = await active();
        return open.reader.read((view) => {
          const draft = draftOf(open, view, drafted);
          const asked = needsPassword(online(), open, view, draft.messages);
          return shownPreview(view, draft.sender, simulateDraft(open, view, draft), asked);
        }, 'preview of a request');
      },
      async propose({ password, ...drafted }) {
        const open = await active();
        const { draft, asked } = await open.reader.read((view) => {
          const made = draftOf(open, view, drafted);
          return { draft: made, asked: needsPassword(online(), open, view, made.messages) };
        }, 'proposal');
        await checkPassword(asked, password);
        return shown(open, await signing().propose(open, draft));
      },
      async list() {
        const open = await active();
        const all = await signing().list(open);
        return Promise.all(all.map((one) => shown(open, one)));
      },
      async show({ id }) {
        const open = await active();
        return shown(open, signing().find(open, id));
      },
      async effect({ id }) {
        const open = await active();
        const record = signing().find(open, id);
        const { request } = record;
        if (request.t !== 'tx') return nothingHappens(open);
        const { sender, feePayer } = txBodyOf(request);
        const whose = feePayer && isOwn(feePayer) && !isOwn(sender) ? feePayer : sender;
        const asked = await asks(open, record);
        return open.reader.read(
          (view) => shownPreview(view, whose, simulateRequest(open, view, request), asked),
          `effect ${hex(record.id)}`,
        );
      },
      async sign({ id, password }) {
        const open = await active();
        const record = signing().find(open, id);
        await checkPassword(await asks(open, record), password);
        return shown(open, await signing().sign(open, record));
      },
      async refuse({ id }) {
        const open = await active();
        return shown(open, signing().refuse(signing().find(open, id)));
      },
      async send({ id, password }) {
        const open = await active();
        const record = signing().find(open, id);
        // Giving up sole power over an account is asked for again, as every right that is handed out.
        const { protection } = online().identity.status();
        const limited = online().settings.get('wallet.passwordAbove') !== null;
        await checkPassword(record.request.t === 'account' && limited && protection === 'password', password);
        return shown(open, await signing().send(open, record));
      },
      async take({ text }) {
        const record = await signing().take(parseRequest(text));
        return shown(await chains().get(record.request.chainId), record);
      },
      async wait({ id }, signal) {
        const open = await active();
        for (;;) {
          await signing().list(open);
          const found = await shown(open, signing().find(open, id));
          if (found.state !== 'open' && found.state !== 'complete') return found;
          await new Promise<void>((resolve, reject) => {
            const cancel = online().clock.after(pause, () => {
              signal.removeEventListener('abort', stop);
              resolve();
            });
            const stop = (): void => {
              cancel();
              reject(new AppError('cancelled', 'Nobody waits for it any more.'));
            };
            if (signal.aborted) stop();
            else signal.addEventListener('abort', stop, { once: true });
          });
        }
      },
      async forget({ id }) {
        const open = await active();
        signing().forget(signing().find(open, id));
        return { ok: true };
      },
      async sponsored() {
        const open = await active();
        const { decimals } = open.genesis.tokens[0]!.spec;
        return signing()
          .allowances.of(open.record.chainId, wallet().user())
          .map(({ user, left }) => ({ user, left: formatAmount(left, decimals), symbol: baseOf(open) }));
      },
      async sponsor({ user, limit, password }) {
        const open = await active();
        const sponsor = wallet().user();
        if (sameBytes(hashOfUserId(user), hashOfUserId(sponsor))) {
          throw new AppError('invalid_argument', 'Your own fees you pay yourself.');
        }
        const left = parseAmount(limit, open.genesis.tokens[0]!.spec.decimals);
        const { protection } = online().identity.status();
        const above = online().settings.get('wallet.passwordAbove');
        const { decimals } = open.genesis.tokens[0]!.spec;
        const much = above !== null && left > parseAmount(above, decimals);
        await checkPassword(much && protection === 'password', password);
        signing().allowances.set(open.record.chainId, { sponsor, user, left });
        return { ok: true };
      },
      async endSponsor({ user }) {
        const open = await active();
        signing().allowances.remove(open.record.chainId, wallet().user(), user);
        return { ok: true };
      },
    },
  };
}
