export type * from './types.ts';
export { createHosting } from './hosting.ts';
export type {
  Hosting,
  HostingDeps,
  HostingEvents,
  PaidContract,
  PayableHost,
  ReplicaInfo,
} from './hosting.ts';
export { limits as hostingLimits } from './limits.ts';
export type { PaidBlock, PaidCopies, PaidCopy } from './paid-copies.ts';
export type { Borrowed } from './host.ts';
export { keptFirst } from './kept-source.ts';
export type { CodingRules } from './coding/cold-files.ts';
export type { HostingTimes } from './drive-keeper.ts';
export type { AuditBeacon } from './audit.ts';
export { chooseHosts, claim, weightOf } from './placement.ts';
export type { Candidate } from './placement.ts';
export { countsAsCopy, patienceMs, planReplicas, usualRules } from './repair.ts';
export type { ReplicaPlan, ReplicaRules, ReplicaState } from './repair.ts';
export { decodeHostAnswer, decodeHostRequest } from './messages.ts';
export { openContract } from './contract.ts';
export { decodeStripe } from './coding/stripe.ts';
