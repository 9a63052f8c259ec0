/**
 * Tables of the tree. `ord` (41 bytes) is an operation's place in the one order: lamport (u48), entry hash, index (u24); its
 * last 35 bytes name the operation. The `tree_loc`..`tree_del` tables are sets of operations: what they say does not depend on
 * the order of arrival, and taking an entry's rows out again undoes it exactly. `tree_item` is what follows from them.
 * Node ids are random: rows that are made together lie together (rowid tables), only two small indexes of an import are
 * scattered. So `tree_put` holds what `put` and `adopt` say, while the content of a `make` is found by its place in `tree_loc`
 * (`tree_puts` is both), and an item that has the name it wants, in the folder it was put into, stands in one name index only.
 */
export const treeMigrations: readonly string[] = [
  `
  CREATE TABLE tree_loc (
    node BLOB NOT NULL, ord BLOB NOT NULL, t INTEGER NOT NULL, kind INTEGER, parent BLOB NOT NULL, name TEXT NOT NULL,
    skipped INTEGER NOT NULL
  );
  CREATE INDEX tree_loc_node ON tree_loc (node);
  CREATE INDEX tree_loc_parent ON tree_loc (parent, name);
  CREATE UNIQUE INDEX tree_loc_ord ON tree_loc (ord);
  CREATE TABLE tree_put (
    node BLOB NOT NULL, ord BLOB NOT NULL, ckey BLOB NOT NULL, size INTEGER NOT NULL, adopted INTEGER NOT NULL,
    by BLOB NOT NULL
  );
  CREATE INDEX tree_put_node ON tree_put (node);
  CREATE VIEW tree_puts AS SELECT node, ord, ckey, size FROM tree_put
    UNION ALL SELECT l.node, l.ord, c.ckey, c.size FROM tree_loc l JOIN tree_content c ON c.op = substr(l.ord, 7) WHERE l.t = 0;
  CREATE TABLE tree_sup (node BLOB NOT NULL, op BLOB NOT NULL, by BLOB NOT NULL, adopts INTEGER NOT NULL,
    PRIMARY KEY (node, op, by)) WITHOUT ROWID;
  CREATE TABLE tree_cov (node BLOB NOT NULL, op BLOB NOT NULL, by BLOB NOT NULL, PRIMARY KEY (node, op, by)) WITHOUT ROWID;
  CREATE TABLE tree_del (node BLOB NOT NULL, ord BLOB NOT NULL, PRIMARY KEY (node, ord)) WITHOUT ROWID;
  CREATE TABLE tree_content (op BLOB PRIMARY KEY, node BLOB NOT NULL, ord BLOB NOT NULL, ckey BLOB NOT NULL, size INTEGER NOT NULL,
    content BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE tree_adopt (op BLOB NOT NULL, ord BLOB NOT NULL, id BLOB NOT NULL, PRIMARY KEY (op, ord, id)) WITHOUT ROWID;
  CREATE TABLE tree_item (
    id BLOB NOT NULL UNIQUE, node BLOB NOT NULL, parent BLOB NOT NULL, want TEXT NOT NULL, kind INTEGER NOT NULL,
    ckey BLOB, size INTEGER NOT NULL, made BLOB NOT NULL, ver BLOB NOT NULL, derived INTEGER NOT NULL,
    sparent BLOB NOT NULL, alias BLOB, name TEXT, claim TEXT, conflict_of BLOB, rev INTEGER NOT NULL
  );
  CREATE INDEX tree_item_node ON tree_item (node) WHERE derived = 1;
  CREATE INDEX tree_item_parent ON tree_item (parent) WHERE parent <> sparent;
  CREATE INDEX tree_item_want ON tree_item (sparent, want) WHERE name IS NULL OR name <> want;
  CREATE UNIQUE INDEX tree_item_name ON tree_item (sparent, name) WHERE name IS NOT NULL;
  CREATE INDEX tree_item_claim ON tree_item (sparent, claim) WHERE claim IS NOT NULL;
  CREATE INDEX tree_item_alias ON tree_item (alias) WHERE alias IS NOT NULL;
  CREATE UNIQUE INDEX tree_item_rev ON tree_item (rev);
  CREATE TABLE tree_gone (id BLOB PRIMARY KEY, rev INTEGER NOT NULL) WITHOUT ROWID;
  CREATE UNIQUE INDEX tree_gone_rev ON tree_gone (rev);
  CREATE TABLE tree_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  `,
  // Which folders are the place of another drive; what replaces what stands in `tree_sup`.
  'CREATE TABLE tree_mount (node BLOB NOT NULL, ord BLOB NOT NULL, drive BLOB, PRIMARY KEY (node, ord)) WITHOUT ROWID',
  // What lies in each folder itself; what lies deeper is added up over the folders, which an index of their own finds.
  `
  CREATE TABLE tree_sum (folder BLOB PRIMARY KEY, files INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO tree_sum SELECT sparent, count(*), sum(size) FROM tree_item WHERE name IS NOT NULL AND kind <> 0 GROUP BY sparent;
  CREATE INDEX tree_item_dirs ON tree_item (sparent, id) WHERE kind = 0;
  `,
];
