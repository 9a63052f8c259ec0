export { cleanPath, folderHandle, grantedFolders, locate, pathInside } from './folders.ts';
export type { GrantedFolder } from './folders.ts';
export { notGranted } from './not-granted.ts';
export { createPermissionRecords } from './records.ts';
export type { Deed, PermissionRecords } from './records.ts';
export { addAmounts, mayCount, maySpendUnasked, subtractAmount } from './spending.ts';
