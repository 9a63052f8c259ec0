/** Bounds of everything that is decoded in the ledger. Those a chain may choose (a block's size, say) lie within these. */

export const hashLength = 32;
export const maxAmount = 2n ** 128n - 1n;
/** The end of the year 9999: whatever shows a time may rely on a four-digit year. */
export const maxTime = 253_402_300_799_999;
/** Rounds of one height; a timeout grows with each, so this many take years. */
export const maxRound = 2 ** 31 - 1;
export const maxValidators = 100;
export const maxEvidence = 16;
export const maxTxBytes = 64 * 1024;
export const maxMessages = 16;
/** Keys of one account. */
export const maxQuorumKeys = 16;
export const maxBlockTxs = 20_000;
export const maxBlockTxBytes = 4 * 1024 * 1024;
export const maxHeaderBytes = 1024;
export const maxVoteBytes = 512;
export const maxProposalBytes = 512;
/** 100 signatures with their validators take less. */
export const maxCommitBytes = 16 * 1024;
export const maxEvidenceBytes = 40 * 1024;
export const maxBlockBytes =
  maxHeaderBytes + maxCommitBytes + maxEvidence * maxEvidenceBytes + maxBlockTxBytes + 8 * maxBlockTxs;
export const maxGenesisBytes = 16 * 1024 * 1024;
