import { AppError } from '../../../src-shared/errors.ts';
import { rootNode, type NodeId, type TreeNode } from '../../drive/index.ts';
import type { Running } from '../drives/running.ts';

/** The folder at this path, if a drive of its own can be made of it. @throws AppError `not_found`, `invalid_argument`, `already_exists` */
export function checkFolder(parent: Running, folder: string): TreeNode {
  const { tree } = parent.drive;
  const node = tree.resolve(folder);
  if (node?.kind !== 'dir') throw new AppError('not_found', `There is no folder ${folder} in this drive.`);
  if (node.id === rootNode)
    throw new AppError('invalid_argument', 'The whole drive is a drive already; share that.');
  if (node.mount !== null) throw new AppError('already_exists', `${folder} is a drive of its own already.`);
  const inside = tree.mounts().find((mount) => tree.path(mount.node)?.startsWith(`${folder}/`));
  if (inside) {
    throw new AppError(
      'invalid_argument',
      `${tree.path(inside.node)}, which lies in it, is a drive of its own; end that first.`,
    );
  }
  return node;
}

/** The other drive is told of the files by this computer, which has to have them for that. @throws AppError `not_allowed` */
export function refuseOnlineOnly({ sync }: Running, node: NodeId, shown: string): void {
  for (const { local } of sync.mounts.rows(node)) {
    if (local === null || local.held === 'here') continue;
    throw new AppError(
      'not_allowed',
      `${shown} holds files that are online-only on this computer; bring them here first (file fetch).`,
    );
  }
}

/** A computer that only sends or only receives can't speak for what the folder holds. @throws AppError `not_allowed` */
export function refuseOneWay(one: Running): void {
  if (one.sync.status().mode === 'send-receive') return;
  throw new AppError('not_allowed', 'This computer only sends or only receives; do it from another one.');
}
