import { devices, identity } from './identity.ts';
import { drives, files, trash } from './drives.ts';
import { hosting } from './hosting.ts';
import { doctor, node } from './node.ts';
import { net, settings } from './net.ts';
import { platform } from './platform.ts';

/** Every call and event of the product, once. Both carriers (MessagePort, WebSocket) serve exactly this. */
export const contract = {
  node,
  doctor,
  identity,
  devices,
  drives,
  files,
  trash,
  net,
  settings,
  hosting,
  platform,
};
export type AppContract = typeof contract;

export type { Activity, Check, Diagnosis, NodeStatus, Transfer } from './node.ts';
export type { Actor, Device, DeviceInvite, DeviceJoin, IdentityInfo } from './identity.ts';
export type {
  Deed,
  DriveCheckReport,
  DriveMember,
  DriveProblem,
  DriveStatus,
  DriveSummary,
  FileEntry,
  FilePage,
  FileVersion,
  FileWindow,
  ProofCheck,
  TrashEntry,
} from './drives.ts';
export type { DriveHost, DriveHosts, HostStatus } from './hosting.ts';
export type { Bandwidth, Peer, SettingValue } from './net.ts';
export type { Capabilities, Preferences, UpdateState } from './platform.ts';
