export type * from './types.ts';
export { rootNode } from './types.ts';
export type * from './content/types.ts';
export * from './content/index.ts';
export { createDrive, openDrive } from './drive.ts';
export type {
  CreateDriveDeps,
  DriveDeps,
  DriveIdentity,
  DriveStorage,
  OpenDriveDeps,
  WriterKeys,
} from './deps.ts';
export { verifyProof } from './verify-proof.ts';
export type { ProvenVersion } from './verify-proof.ts';
export { maxProofBytes } from './proof-codec.ts';
export { inviteRefOf, inviteSecretBytes, inviteSigner, signClaim } from './access/invite-key.ts';
export type { InviteClaim } from './access/invite-key.ts';
export { isName, maxNameBytes } from './codec/names.ts';
export { isCollectionKey, maxKeyBytes, maxValueBytes } from './codec/ops.ts';
