import type { Database } from '../../store/index.ts';
import { byteKey, compareBytes, hex, sameBytes, unhex } from '../codec/bytes.ts';
import { conflictName } from '../codec/names.ts';
import type { ItemChanges, ItemRow } from './items.ts';

/** When and on which device the entry at a place was made; for conflict names. */
export type Provenance = (ord: Uint8Array) => { readonly time: number; readonly device: string };

/** The longer form of a conflict name, with the id of the copy. */
export const longConflictName = / ([0-9a-f]{32})(?: \d+)?\)[^)]*$/;

/**
 * Gives out the names under one parent. Of several items that want one name: folders merge into the first made; without a
 * folder the first made file keeps the name; files with the content of one of them merge into it; all others, and further
 * heads of a file, show under a conflict name. A conflict name goes to nobody who does not want it for himself: if some
 * item is really called that, or two copies ask for it, the id makes the difference. All of this depends only on who
 * wants what, never on the order in which it came.
 */
export function createNaming(
  db: Database,
  changes: ItemChanges,
  provenance: Provenance,
  reparent: (folder: Uint8Array) => void,
) {
  // Who has the name he wants stands in the index of names; the others have an index of their own.
  const wantingRows = db.prepare<{ parent: Uint8Array; want: string }, ItemRow>(
    `SELECT * FROM tree_item WHERE sparent = :parent AND name = :want AND want = :want
     UNION ALL SELECT * FROM tree_item WHERE sparent = :parent AND want = :want AND (name IS NULL OR name <> want)`,
  );
  const wantsIt = db.prepare<{ parent: Uint8Array; want: string }, unknown>(
    `SELECT 1 FROM tree_item WHERE sparent = :parent AND name = :want AND want = :want AND derived = 0
     UNION ALL SELECT 1 FROM tree_item WHERE sparent = :parent AND want = :want AND (name IS NULL OR name <> want)
       AND derived = 0 LIMIT 1`,
  );
  const wanting = (parent: Uint8Array, want: string): ItemRow[] =>
    wantingRows
      .all({ parent, want })
      .sort((a, b) => compareBytes(a.made, b.made) || compareBytes(a.id, b.id));
  const wants = (parent: Uint8Array, want: string): boolean => wantsIt.get({ parent, want }) !== undefined;
  const claiming = db.prepare<[Uint8Array, string], Pick<ItemRow, 'id' | 'want' | 'name'>>(
    'SELECT id, want, name FROM tree_item WHERE sparent = ? AND claim = ? ORDER BY id',
  );
  const holder = db.prepare<[Uint8Array, string], Pick<ItemRow, 'id' | 'want'>>(
    'SELECT id, want FROM tree_item WHERE sparent = ? AND name = ?',
  );
  const itemWant = db.prepare<[Uint8Array], Pick<ItemRow, 'sparent' | 'want'>>(
    'SELECT sparent, want FROM tree_item WHERE id = ?',
  );
  const vacate = db.prepare('UPDATE tree_item SET name = NULL WHERE id = ?');
  const assign = db.prepare(
    'UPDATE tree_item SET alias = ?, name = ?, claim = ?, conflict_of = ? WHERE id = ?',
  );
  const setClaim = db.prepare('UPDATE tree_item SET claim = ? WHERE id = ?');

  type Fate = Pick<ItemRow, 'alias' | 'name' | 'claim' | 'conflict_of'>;

  function write(row: ItemRow, fate: Fate): void {
    if (
      same(row.alias, fate.alias) &&
      row.name === fate.name &&
      row.claim === fate.claim &&
      same(row.conflict_of, fate.conflict_of)
    ) {
      return;
    }
    changes.touch(row.id);
    if (fate.name !== null) {
      const other = holder.get(row.sparent, fate.name);
      if (other && !sameBytes(other.id, row.id)) {
        changes.touch(other.id);
        vacate.run(other.id);
        if (other.want !== row.want) changes.group(row.sparent, other.want);
      }
    }
    assign.run(fate.alias, fate.name, fate.claim, fate.conflict_of, row.id);
    if (row.kind === 0 && !same(row.alias, fate.alias)) reparent(row.id);
  }

  /** The name a loser shows under. `claim` is set in its row already. */
  function losersName(row: ItemRow, claim: string): string {
    const taken = wants(row.sparent, claim);
    const first = claiming.get(row.sparent, claim);
    if (!taken && first && sameBytes(first.id, row.id)) return claim;
    const { time, device } = provenance(row.ver);
    for (let n = 0; ; n++) {
      const suffix = n === 0 ? hex(row.id) : `${hex(row.id)} ${n}`;
      const name = conflictName(row.want, time, device, suffix);
      if (!wants(row.sparent, name)) return name;
    }
  }

  function moveClaim(row: ItemRow, claim: string | null): void {
    if (row.claim === claim) return;
    changes.touch(row.id);
    setClaim.run(claim, row.id);
    for (const touched of [row.claim, claim]) {
      if (touched === null) continue;
      for (const other of claiming.all(row.sparent, touched)) {
        if (other.want !== row.want) changes.group(row.sparent, other.want);
      }
    }
  }

  return {
    /** Settles one name under one parent. */
    refresh(parent: Uint8Array, want: string): void {
      const rows = wanting(parent, want);
      const own = rows.filter((row) => row.derived === 0);
      // The place of another drive is not merged with anything: what other folders of that name hold goes into it.
      const folder = own.find(isMounted) ?? own.find((row) => row.kind === 0);
      const firstOf = new Map<string, ItemRow>();
      for (const row of own) {
        if (row.kind === 0 || row.ckey === null) continue;
        const key = byteKey(row.ckey);
        if (!firstOf.has(key)) firstOf.set(key, row);
      }
      const winner = folder ?? own[0];
      const losers: ItemRow[] = [];
      const fates: [ItemRow, Fate][] = [];
      for (const row of rows) {
        const first =
          row.derived === 1 || row.ckey === null ? row : (firstOf.get(byteKey(row.ckey)) as ItemRow);
        if (row === winner) {
          fates.push([row, { alias: null, name: want, claim: null, conflict_of: null }]);
        } else if (row.kind === 0 && winner && !isMounted(row)) {
          fates.push([row, { alias: winner.id, name: null, claim: null, conflict_of: null }]);
        } else if (first !== row) {
          fates.push([row, { alias: first.id, name: null, claim: null, conflict_of: null }]);
        } else {
          losers.push(row);
        }
      }
      for (const [row, fate] of fates) moveClaim(row, fate.claim);
      const claims = losers.map((row) => {
        const { time, device } = provenance(row.ver);
        const claim = conflictName(want, time, device, '');
        moveClaim(row, claim);
        return claim;
      });
      // First who gives up a name, then who takes it.
      for (const [row, fate] of fates.sort(
        (a, b) => Number(a[1].name !== null) - Number(b[1].name !== null),
      )) {
        write({ ...row, claim: fate.claim }, fate);
      }
      losers.forEach((row, i) => {
        const claim = claims[i] as string;
        const of = row.derived === 1 ? row.node : (winner?.id ?? row.node);
        write({ ...row, claim }, { alias: null, name: losersName(row, claim), claim, conflict_of: of });
      });
      this.settleClaims(parent, want);
    },

    /** Copies that ask for this name as their conflict name: does what they have still fit? */
    settleClaims(parent: Uint8Array, name: string): void {
      const wanted = wants(parent, name);
      claiming.all(parent, name).forEach((row, i) => {
        const shouldHave = !wanted && i === 0;
        if (row.want !== name && shouldHave !== (row.name === name)) changes.group(parent, row.want);
      });
      const id = longConflictName.exec(name)?.[1];
      const owner = id === undefined ? undefined : itemWant.get(unhex(id));
      // A real file has or had the longer form of a copy's name.
      if (owner && owner.want !== name && sameBytes(owner.sparent, parent)) changes.group(parent, owner.want);
    },
  };
}

function isMounted(row: ItemRow): boolean {
  return row.kind === 0 && !sameBytes(row.ver, row.made);
}

function same(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === b || (a !== null && b !== null && sameBytes(a, b));
}
