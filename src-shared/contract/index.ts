import { apps } from './apps.ts';
import { devices, identity } from './identity.ts';
import { drives, files, trash } from './drives.ts';
import { hosting } from './hosting.ts';
import { chain, stakes, tokens, transactions, wallet } from './ledger.ts';
import { names, pools, storage, vaults } from './markets.ts';
import { messages } from './messages.ts';
import { doctor, node } from './node.ts';
import { net, settings } from './net.ts';
import { collections } from './collections.ts';
import { directory } from './directory.ts';
import { people } from './people.ts';
import { platform } from './platform.ts';
import { services } from './services.ts';
import { signing } from './signing.ts';
import { streams } from './streams.ts';

/** Every call and event of the product, once. Both carriers (MessagePort, WebSocket) serve exactly this. */
export const contract = {
  node,
  doctor,
  identity,
  devices,
  drives,
  files,
  trash,
  directory,
  people,
  net,
  settings,
  hosting,
  streams,
  collections,
  messages,
  services,
  chain,
  wallet,
  tokens,
  stakes,
  transactions,
  signing,
  pools,
  vaults,
  names,
  storage,
  apps,
  platform,
};
export type AppContract = typeof contract;

export type {
  AppDeed,
  AppDetails,
  AppPermission,
  AppReview,
  AppSession,
  Approval,
  BlockList,
  InstalledApp,
  StoreApp,
} from './apps.ts';
export type { Activity, Check, Diagnosis, NodeStatus, Transfer } from './node.ts';
export type { Actor, Device, DeviceInvite, DeviceJoin, IdentityInfo } from './identity.ts';
export type {
  Deed,
  DriveCheckReport,
  DriveInvite,
  DriveMember,
  DriveProblem,
  DriveStatus,
  DriveSummary,
  DriveDifference,
  DriveMode,
  DriveVisibility,
  FileEntry,
  FilePage,
  FileVersion,
  FileWindow,
  ProofCheck,
  RightsDeed,
  SharedDrive,
  TrashEntry,
  UnfinishedUpload,
} from './drives.ts';
export type { DriveHost, DriveHosts, HostStatus } from './hosting.ts';
export type {
  MarketAct,
  Name,
  Pool,
  Quote,
  StorageContract,
  RelayFund,
  StorageProof,
  Vault,
  VaultTerms,
} from './markets.ts';
export type { Bandwidth, Peer, SettingValue, TrafficSlot } from './net.ts';
export type { CollectionEntry, CollectionSummary } from './collections.ts';
export type { DirectoryEntry, ListedDrive } from './directory.ts';
export type { Person } from './people.ts';
export type { ServiceSummary } from './services.ts';
export type { SharedAccount, SigningRequest } from './signing.ts';
export type { EncoderDoor, RelaySettings, Rendition, StreamStats, StreamSummary } from './streams.ts';
export type { Capabilities, Preferences, UpdateState } from './platform.ts';
export type {
  AccountKey,
  Balance,
  ChainBlock,
  ChainStatus,
  ChainValidator,
  EarnedSeries,
  Mining,
  Stake,
  Token,
  TokenStaking,
  Tx,
  TxMessage,
  TxPreview,
  WalletAct,
} from './ledger.ts';
