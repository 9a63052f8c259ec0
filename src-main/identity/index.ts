export type * from './types.ts';
export { verifySignature, verifySignatureAsync, createSigner, isSigningKey } from './signature.ts';
export { wrapFor, unwrap, tryUnwrap, isEncryptionKey, boxOverhead, maxBoxBytes } from './ecies.ts';
export { userIdOf, parseUserId, deviceIdOf, deviceKeyOf } from './ids.ts';
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
