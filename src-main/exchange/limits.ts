/** Every bound of the two protocols in one place. Bytes unless said otherwise. */
export const limits = {
  /** One entry may be 2 MiB of body and its header; batches stay below unless a single entry is larger. */
  historyFrame: 2 * 1024 * 1024 + 256 * 1024,
  entriesBatchBytes: 1024 * 1024,
  entriesBatchCount: 1024,
  /** Feeds named in one frontier. */
  frontierTips: 16_384,
  /** Blocks named in one early announcement. */
  earlyBlocks: 4096,
  /** Padded plaintext plus tag; a block holds at most 16 MiB. */
  blockBytes: 16 * 1024 * 1024 + 64,
  blocksFrame: 17 * 1024 * 1024,
  /** Small blocks travel together up to about this much. */
  blocksBatchBytes: 1024 * 1024,
  blocksBatchCount: 128,
  idsPerWant: 256,
  /** What one peer may have asked for and not been given yet. */
  wantsPerPeer: 4096,
  wantBytesPerPeer: 64 * 1024 * 1024,
  /** What a client asks one provider for at once: the credit it grants. */
  windowBytes: 16 * 1024 * 1024,
  windowCount: 1024,
  /** Received blocks that wait for `accept`, over all peers: beyond it nothing more is read from the network. */
  acceptingBytes: 16 * 1024 * 1024,
  /** A whole history fetched for a join. */
  fetchedHistoryBytes: 1024 * 1024 * 1024,
  earlyRingBytes: 16 * 1024 * 1024,
  /** History streams per peer, both directions: two for each shared drive. */
  historyStreams: 512,
} as const;
