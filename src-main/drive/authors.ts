import type { Signer } from '../identity/index.ts';
import type { Database } from '../store/index.ts';
import type { History } from '../history/index.ts';
import { hex, sameBytes } from './codec/bytes.ts';
import { roleRank } from './access/evaluate.ts';
import type { AccessState } from './access/evaluate.ts';
import { entryOfRef } from './tree/place.ts';
import { parseOpId } from './tree/reader.ts';
import type { OpId, VersionAuthor } from './types.ts';

interface AuthorRow {
  readonly writer: Uint8Array;
  readonly incarnation: number;
  readonly user: string | null;
  readonly device: string | null;
  readonly device_key: Uint8Array | null;
}

/** Tells who signed an operation, and whether that device could sign another one now. */
export function createAuthors(deps: {
  readonly db: Database;
  readonly writer: Signer;
  readonly device: Signer;
  readonly history: Pick<History, 'ownTip'>;
  readonly access: () => Pick<AccessState, 'members' | 'revoked'>;
}): (version: OpId) => VersionAuthor | null {
  const ofEntry = deps.db.prepare<[Uint8Array], AuthorRow>(
    `SELECT e.writer, e.incarnation, w.user, w.device, w.device_key FROM drive_entry e
     LEFT JOIN drive_writer w ON w.root = e.root WHERE e.hash = ?`,
  );
  return (version) => {
    const row = ofEntry.get(entryOfRef(parseOpId(version)));
    if (!row || row.user === null || row.device === null || row.device_key === null) return null;
    const { members, revoked } = deps.access();
    const tip = deps.history.ownTip();
    const mine = sameBytes(row.device_key, deps.device.publicKey);
    return {
      device: row.device,
      here: mine,
      ownFeed:
        mine &&
        tip !== null &&
        sameBytes(row.writer, deps.writer.publicKey) &&
        tip.incarnation === row.incarnation,
      active:
        roleRank(members.get(row.user)?.role) >= roleRank('editor') &&
        !revoked.has(`${row.user} ${hex(row.device_key)}`),
    };
  };
}
