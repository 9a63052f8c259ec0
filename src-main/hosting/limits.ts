/** Every bound of the host protocol in one place. Bytes unless said otherwise. */
export const limits = {
  /** A page of block ids and sizes, or the proofs of one round of audits. */
  frame: 256 * 1024,
  /** Streams of one peer at once, both directions. */
  streams: 8,
  /** Requests of one peer a second. */
  rate: 200,
  /** Time a request may take, ms. */
  requestMs: 20_000,
  /** Blocks named in one `keep` or `drop`. */
  blocksPerMessage: 4096,
  /** Ciphertext of one block (see exchange). */
  blockBytes: 16 * 1024 * 1024 + 64,
  /** Challenges of one round; each is answered with 1 KiB and at most 15 hashes. */
  challengesPerMessage: 64,
  contractBytes: 64 * 1024,
  contractsPerMessage: 3,
  membersPerContract: 512,
  hostsPerContract: 64,
  addressesPerHost: 8,
  copies: 32,
  /** Offers of others told in one answer, and addresses of each. */
  offersPerMessage: 16,
  addressesPerOffer: 4,
  /** At most 24 shards with id and size. */
  stripeBytes: 1536,
  stripesPerMessage: 128,
  /** Blocks of a drive and host that are paid for, blocks of one contract on a ledger, and contracts of a drive that wait to be taken. */
  paidBlocks: 65_536,
  blocksPerPaidCopy: 8192,
  paidCopiesNamed: 8,
  /** Blocks whose stripes are asked for at once. */
  blocksPerSearch: 64,
} as const;
