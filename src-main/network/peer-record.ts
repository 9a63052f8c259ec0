import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id';
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record';
import { AppError } from '../../src-shared/errors.ts';

export interface CheckedRecord {
  readonly peer: string;
  /** Multiaddrs the peer itself signed. */
  readonly addresses: readonly string[];
  /** Grows with each record the peer makes. */
  readonly seq: bigint;
}

/**
 * Checks a signed peer record (libp2p RFC 0003) that came through others.
 * @param expected the peer it must be of
 * @throws AppError `bad_signature` (forged, or of another peer), `malformed`
 */
export async function openPeerRecord(bytes: Uint8Array, expected: string): Promise<CheckedRecord> {
  let envelope: RecordEnvelope;
  try {
    envelope = await RecordEnvelope.openAndCertify(bytes, PeerRecord.DOMAIN);
  } catch (error) {
    throw new AppError('bad_signature', 'A peer record is not validly signed.', { cause: error });
  }
  let record: PeerRecord;
  try {
    record = PeerRecord.createFromProtobuf(envelope.payload);
  } catch (error) {
    throw new AppError('malformed', 'A peer record can not be decoded.', { cause: error });
  }
  const signer = peerIdFromPublicKey(envelope.publicKey);
  if (!signer.equals(record.peerId) || !signer.equals(peerIdFromString(expected))) {
    throw new AppError('bad_signature', 'A peer record was signed by someone else.');
  }
  return {
    peer: expected,
    addresses: record.multiaddrs.map((address) => address.toString()),
    seq: record.seqNumber,
  };
}
