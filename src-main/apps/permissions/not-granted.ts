import type { PermissionName } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';

/** What an app is told that may not do something. */
export function notGranted(permission: PermissionName, message?: string): AppError {
  return new AppError('not_granted', message ?? `The permission ${permission} is not granted.`, {
    details: { permission },
  });
}
