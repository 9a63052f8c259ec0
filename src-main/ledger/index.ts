export type * from './types.ts';
export type * from './chain/types.ts';
export { createChain } from './chain/chain.ts';
export { openChainThread } from './thread/chain-thread.ts';
export type { ChainThread, ChainThreadDeps, ChainThreadOptions } from './thread/chain-thread.ts';
export * from './codec/index.ts';
export { createApplication } from './execute/application.ts';
export type { ApplicationDeps, ApplicationOptions, Ledger, LedgerReader } from './execute/application.ts';
export type { Simulation } from './execute/block-context.ts';
export { createTxChecker } from './execute/tx-checker.ts';
export type { TxChecker } from './execute/tx-checker.ts';
export { fieldsOfMessage, message, messageTypes } from './modules/index.ts';
export type { MessageFields, MessageType } from './modules/index.ts';
export type { SnapshotOptions } from './snapshot/snapshots.ts';
export { rotationBytes } from './modules/account.ts';
export { headSignBytes } from './modules/anchor.ts';
export type { SignedHead } from './modules/anchor.ts';
export { validatorProofBytes } from './modules/validators.ts';
export type { DirectoryEntry } from './modules/directory.ts';
export * from './modules/views.ts';
export { bestQuote, findPool, ownPools, poolsView, priceNumber } from './modules/pool/views.ts';
export type { PoolView, QuoteView } from './modules/pool/views.ts';
export { sharesOfDeposit, matching, partOf } from './modules/pool/maths.ts';
export { vaultAsset, vaultsView } from './modules/vault/views.ts';
export type { VaultView } from './modules/vault/views.ts';
export { planMove } from './modules/vault/plan.ts';
export {
  beaconCommitOf,
  contractView,
  contractsView,
  hasContracts,
  storageView,
  upcomingContract,
} from './modules/storage/views.ts';
export type { ContractView, StorageView } from './modules/storage/views.ts';
export { beaconHash } from './modules/storage/beacon.ts';
export {
  answerOf,
  challengeOf,
  claimsOpen,
  leafBytes,
  leavesOf,
  payOf,
  periodMs,
  periodOf,
  priceBytes,
  samplesOf,
  seedOf,
} from './modules/storage/state.ts';
export { dueContracts } from './modules/storage/storage.ts';
export { contentOf } from './modules/storage/content.ts';
export type { Content, ContentBlock, ContentOpening } from './modules/storage/content.ts';
export { relayClaim } from './modules/relay/relay.ts';
export { maxReceipts } from './modules/relay/state.ts';
export { fundsOfStream, fundsView, fundView } from './modules/relay/views.ts';
export type { FundView } from './modules/relay/views.ts';
export { hostEmission } from './modules/storage/work.ts';
export { relayEmission } from './modules/relay/emission.ts';
export { appHash } from './modules/registry/app.ts';
export type { AppRow, ReleaseRow, ReviewRow } from './modules/registry/app.ts';
export { appsView, appView, reviewsView, revokedReason } from './modules/registry/app-views.ts';
export type { AppView } from './modules/registry/app-views.ts';
export { nameClaim, nameRent } from './modules/registry/name.ts';
export { priceBits } from './modules/pool/state.ts';
export type { NameRow } from './modules/registry/name.ts';
export { searchDirectory } from './modules/views.ts';
export {
  nameOfAccount,
  nameRow,
  namesOfAccount,
  resolveName,
  servicesView,
} from './modules/registry/views.ts';
export {
  createHeadBatch,
  decodeAnchoredHead,
  decodeLedgerProof,
  encodeAnchoredHead,
  encodeLedgerProof,
  proveBalance,
  proveFeed,
  proveHead,
  proveTx,
  verifyLedgerProof,
} from './execute/proofs.ts';
export type { AnchoredHead, HeadBatch, LedgerProof, Proven } from './execute/proofs.ts';
export { tokenOf } from './modules/value.ts';
export { genesisFrom } from './execute/restart.ts';
export type { Restart } from './execute/restart.ts';
export { replay } from './execute/replay.ts';
export { replayInThread } from './thread/replay-thread.ts';
export type { Replay } from './execute/replay.ts';
export { decodeManifest } from './snapshot/manifest.ts';
export { createFullReader } from './reading/full-reader.ts';
export { createLightReader, readOptions, readProtocol } from './reading/light-reader.ts';
export { createReadServer } from './reading/serve.ts';
export { simulateOn } from './reading/simulate.ts';
export type { LedgerView } from './reading/simulate.ts';
export type { FoundBlock, FoundTx, LedgerAccess } from './reading/reader.ts';
export {
  decodeAnchoredProof,
  differingEntry,
  encodeAnchoredProof,
  feedOf,
  verifyAnchoredProof,
} from './anchored/anchored-proof.ts';
export type { AnchoredProof, AnchoredVersion, FeedEntry } from './anchored/anchored-proof.ts';
