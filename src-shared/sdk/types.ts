export type {
  AppAccount,
  AppCollection,
  AppCollectionEntry,
  AppCollectionInvitation,
  AppCollectionMember,
  AppFile,
  AppFolder,
  AppMessage,
  AppService,
  AppServiceCall,
  AppSession,
  AppStream,
} from '../apps/methods/index.ts';
export type { PermissionName } from '../apps/permissions.ts';
