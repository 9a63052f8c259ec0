export type * from './types.ts';
export type * from './identity-types.ts';
export { verifySignature, verifySignatureAsync, createSigner, isSigningKey } from './signature.ts';
export { wrapFor, unwrap, tryUnwrap, isEncryptionKey, boxOverhead, maxBoxBytes } from './ecies.ts';
export { userIdOf, parseUserId, hashOfUserId, userIdOfHash, deviceIdOf, deviceKeyOf } from './ids.ts';
export {
  signDeviceCertificate,
  encodeDeviceCertificate,
  decodeDeviceCertificate,
  verifyDeviceCertificate,
  signCard,
  encodeCard,
  decodeCard,
  verifyCard,
  openCard,
  replacesCard,
  cardDevices,
  cleanName,
  maxCardBytes,
  maxCertificateBytes,
  maxDevices,
} from './card.ts';
export type { CardDevices } from './card.ts';
export { phraseOf, parsePhrase } from './phrase.ts';
export { makeReceipt, maxReceiptBytes, readReceipt } from './receipts.ts';
export type { Receipt } from './receipts.ts';
export { x25519Public as encryptionKeyOf } from './primitives.ts';
export { createKeystoreFiles } from './keystore-files.ts';
export type { KeystoreFiles } from './keystore-files.ts';
export type { KeyProtector, Protection, ScryptCost, WrapRecord } from './keystore-protection.ts';
export { parseInviteCode, maxApprovalBytes } from './linking.ts';
export { createIdentity } from './identity.ts';
export { encodeStrict, decodeStrict, fieldsOf, malformed } from './strict-cbor.ts';
export type { Fields } from './strict-cbor.ts';
