import 'reflect-metadata';
import { createHash, webcrypto } from 'node:crypto';
import { X509CertificateGenerator } from '@peculiar/x509';

/** A throw-away identity of the bulk listener; what makes it trusted is its fingerprint, told over libp2p. */
export interface BulkCertificate {
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** SHA-256 of the DER certificate, 32 bytes. */
  readonly fingerprint: Uint8Array;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 24 * 60 * 60_000;

/**
 * Makes a self-signed certificate with a fresh key. It names nobody.
 * @param now ms; the validity is wide, since clocks of peers differ and nobody checks it
 */
export async function createBulkCertificate(now: number): Promise<BulkCertificate> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: 'CN=bulk',
      notBefore: new Date(now - 365 * dayMs),
      notAfter: new Date(now + 3650 * dayMs),
      signingAlgorithm: algorithm,
      keys,
    },
    webcrypto as Parameters<typeof X509CertificateGenerator.createSelfSigned>[1],
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64')}\n-----END PRIVATE KEY-----\n`,
    fingerprint: createHash('sha256').update(new Uint8Array(certificate.rawData)).digest(),
  };
}
