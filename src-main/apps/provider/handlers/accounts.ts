import { AppError } from '../../../../src-shared/errors.ts';
import { parseUserId, tryUnwrap, wrapFor, type Signer } from '../../../identity/index.ts';
import { notGranted } from '../../permissions/index.ts';
import { signInText } from '../../sessions/index.ts';
import { appAccount, withAppSigner } from '../account-keys.ts';
import type { AppHandlers, HandlerDeps } from '../types.ts';

type Names = 'exc_accounts' | 'exc_signIn' | 'exc_signMessage' | 'exc_encrypt' | 'exc_decrypt';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const fromBase64url = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));

/**
 * What precedes everything that an app has signed or encrypted. Nothing else that is signed begins so: a transaction, a card
 * or an entry can't be made of it.
 */
export const messageDomain = 'extrachain app message v1\0';
const boxDomain = 'extrachain app box v1\0';

/** The bytes that a signature of an app's message covers. */
export function signedBytes(appId: string, message: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([Buffer.from(`${messageDomain}${appId}\0`), message]));
}

/** Accounts, sign-in, signatures and boxes. */
export function accountHandlers({ node, clock }: HandlerDeps): Pick<AppHandlers, Names> {
  const signedBy = (signer: Signer, address: string, appId: string, message: Uint8Array) => ({
    signature: base64url(signer.sign(signedBytes(appId, message))),
    signKey: hex(signer.publicKey),
    address,
  });

  return {
    exc_accounts({ app, has }) {
      const own = appAccount(node, app.appId);
      if (!has('identity.shared')) return { accounts: [own] };
      const user = {
        address: node.userId(),
        kind: 'user' as const,
        signKey: hex(node.accountSigner().publicKey),
        encKey: hex(node.encKey()),
      };
      return { accounts: [own, user] };
    },

    async exc_signIn(call, wish) {
      const { appId } = call.app;
      const shared = wish.account === 'user';
      if (shared && !call.has('identity.shared')) throw notGranted('identity.shared');
      const own = appAccount(node, appId);
      const address = shared ? node.userId() : own.address;
      const message = signInText({
        domain: appId,
        address,
        statement: wish.statement || undefined,
        uri: `exc-app://${appId}/`,
        chainId: node.chainId() ?? 'none',
        nonce: wish.nonce,
        issuedAt: new Date(clock.now()).toISOString(),
        expirationTime: wish.expirationTime,
        notBefore: wish.notBefore,
        requestId: wish.requestId,
        resources: wish.resources,
      });
      call.about(address);
      await call.ask({
        kind: 'signIn',
        text: message,
        discloses: [shared ? 'signInUser' : 'signInApp'],
      });
      const bytes = new TextEncoder().encode(message);
      const signed = shared
        ? signedBy(node.accountSigner(), address, appId, bytes)
        : withAppSigner(node, appId, (signer) => signedBy(signer, address, appId, bytes));
      return { ...signed, message };
    },

    exc_signMessage({ app: { appId } }, { message }) {
      const { address } = appAccount(node, appId);
      const bytes = fromBase64url(message);
      return withAppSigner(node, appId, (signer) => signedBy(signer, address, appId, bytes));
    },

    async exc_encrypt({ app, signal }, { to, bytes }) {
      const key = /^[0-9a-f]{64}$/.test(to)
        ? new Uint8Array(Buffer.from(to, 'hex'))
        : await node.encKeyOf(parseUserId(to), signal);
      const content = Buffer.concat([Buffer.from(`${boxDomain}${app.appId}\0`), fromBase64url(bytes)]);
      return { box: base64url(wrapFor(key, content)) };
    },

    exc_decrypt({ app: { appId }, has }, { box }) {
      const sealed = fromBase64url(box);
      const secret = node.appSecret(appId, 'encrypt');
      let content: Uint8Array | null;
      try {
        content = tryUnwrap(secret, sealed);
      } finally {
        secret.fill(0);
      }
      // Whether a box is for the person tells who the person is: for that the app needs the permission.
      if (content === null && has('identity.shared')) content = node.tryUnwrap(sealed);
      const prefix = Buffer.from(`${boxDomain}${appId}\0`);
      // Keys of drives and other apps' boxes come in the same envelope; only what this app sealed is handed out.
      if (content === null || !prefix.equals(content.subarray(0, prefix.length))) {
        throw new AppError('key_missing', 'This was encrypted for somebody else, or by another app.');
      }
      return { bytes: base64url(content.subarray(prefix.length)) };
    },
  };
}
