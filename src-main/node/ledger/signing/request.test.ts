import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../../../src-shared/errors.ts';
import { userIdOfHash } from '../../../identity/index.ts';
import { compareBytes, encodeTxBody, message } from '../../../ledger/index.ts';
import { addressOfName, signerOf } from '../../../ledger/testing.ts';
import {
  accountRequest,
  decodeRequest,
  encodeRequest,
  formatRequest,
  gathered,
  parseRequest,
  requestId,
  signedBytes,
  signedTx,
  validSignatures,
} from './request.ts';
import type { Parties, SigningRequest, TxRequest } from './request.ts';

const chainId = 'guild-0123456789abcdef';
const holder = (name: string) => ({ address: addressOfName(name), key: signerOf(name).publicKey });
const sign = (name: string, request: SigningRequest) => ({
  key: signerOf(name).publicKey,
  sig: signerOf(name).sign(signedBytes(request)),
});
const send = message('bank.send', { to: addressOfName('dan'), symbol: 'EXC', amount: 5n, memo: '' });
function txRequest(msgs = [send], over: Partial<TxRequest> = {}): TxRequest {
  const body = encodeTxBody({
    ...{ v: 1, chainId, sender: addressOfName('ada'), nonce: 0, validUntil: 9 },
    ...{ feeAsset: 'EXC', feeMax: 10n, feePayer: addressOfName('cyd'), msgs },
  });
  return { t: 'tx', chainId, by: addressOfName('ada'), made: 1, sigs: [], body, ...over };
}
const parties: Parties = {
  threshold: 2,
  keys: ['ada', 'ben', 'eve'].map(holder),
  sponsor: [holder('cyd')],
};

describe('a request for signatures', () => {
  it('is complete with as many keys as the account asks for and the sponsor, in the order of the ledger', () => {
    let request = txRequest();
    const add = (name: string): void => {
      const sigs = validSignatures(request, [...request.sigs, sign(name, request)]);
      request = { ...request, sigs };
    };
    add('eve');
    add('ada');
    expect(gathered(request, parties)).toMatchObject({ complete: false, sponsor: null });
    expect(() => signedTx(request, parties)).toThrow(
      expect.objectContaining({ code: 'key_not_allowed' }) as Error,
    );
    add('cyd');
    // One more than asked for is left out.
    add('ben');
    const { own, sponsor, complete } = gathered(request, parties);
    expect([own.length, sponsor?.key, complete]).toEqual([2, signerOf('cyd').publicKey, true]);
    expect(compareBytes(own[0]!.key, own[1]!.key)).toBeLessThan(0);
    expect(() => signedTx(request, parties)).not.toThrow();
  });

  it('keeps its name whatever was signed, takes each key once and no signature that does not hold', () => {
    const request = txRequest();
    const good = sign('ada', request);
    const forged = { ...sign('ben', request), sig: good.sig };
    const sigs = validSignatures(request, [good, good, forged]);
    expect(sigs).toEqual([good]);
    expect(requestId({ ...request, sigs })).toEqual(requestId(request));
    expect(requestId(txRequest([send], { made: 2 }))).not.toEqual(requestId(request));
  });

  it('goes from hand to hand whole or not at all', () => {
    const request = accountRequest(
      chainId,
      userIdOfHash(addressOfName('ada')),
      { threshold: 2, signers: ['ada', 'ben'].map((name) => userIdOfHash(addressOfName(name))) },
      7,
    );
    const text = formatRequest(request);
    expect(parseRequest(`  ${text.slice(0, 40)}\n${text.slice(40)} `)).toEqual(request);
    for (const cut of [text.slice(0, -1), `${text.slice(0, -8)}AAAAAAAA`]) {
      expect(() => parseRequest(cut)).toThrow(expect.objectContaining({ code: 'link_cut_short' }) as Error);
    }
    expect(() => parseRequest('extrachain://chain/x')).toThrow(
      expect.objectContaining({ code: 'invalid_argument' }) as Error,
    );
  });

  it('is refused when it asks for what nobody could be shown', () => {
    const refused = (request: SigningRequest, code: string): void =>
      expect(() => decodeRequest(encodeRequest(request))).toThrow(expect.objectContaining({ code }) as Error);
    refused(txRequest([{ type: 'bank.rob' }] as never), 'message_unknown');
    refused({ ...txRequest(), chainId: 'other-0123456789abcdef' }, 'malformed');
    const account = accountRequest(
      chainId,
      userIdOfHash(addressOfName('ada')),
      { threshold: 1, signers: ['ada', 'ben'].map((name) => userIdOfHash(addressOfName(name))) },
      7,
    );
    refused({ ...account, threshold: 3 }, 'malformed');
    refused({ ...account, signers: [...account.signers].reverse() }, 'malformed');
  });

  it('throws its own errors for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeRequest(bytes);
        } catch (error) {
          if (!isAppError(error)) throw error;
        }
      }),
    );
  });
});
