import { AppError } from '../../src-shared/errors.ts';
import { parseUserId, type Identity, type UserId } from '../identity/index.ts';
import { migrate, type Database } from '../store/index.ts';

/** What somebody calls a user since when; null: nothing any more. Times in ms; the latest word counts. */
export interface NameGiven {
  readonly user: UserId;
  readonly name: string | null;
  readonly time: number;
}

/**
 * What this person calls other people. User IDs are anonymous; the names are known to the computers of the one who gave them and to nobody
 * else. Each identity of this computer (`owner`; '' before there is any) has its own.
 */
export interface People {
  list(owner: UserId): readonly { readonly userId: string; readonly name: string }[];
  /**
   * @param name null: forgets it
   * @throws AppError `invalid_argument` for what is no user ID; `too_large` above 10,000 names
   */
  name(owner: UserId, user: string, name: string | null, now: number): void;
  /** Names given before there was an identity become those of this one. */
  adopt(owner: UserId): void;
  /** Names and what was forgotten, by user: those after one, or just those asked for. */
  page(owner: UserId, after: UserId, limit: number): readonly NameGiven[];
  given(owner: UserId, user: UserId): NameGiven | null;
  /** Takes over what another computer of the same person knows. @returns whom it was news about */
  merge(owner: UserId, names: readonly NameGiven[]): readonly UserId[];
}

const migrations = [
  'CREATE TABLE people (user TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID',
  `CREATE TABLE names_given (
    owner TEXT NOT NULL,
    user TEXT NOT NULL,
    name TEXT,
    time INTEGER NOT NULL,
    PRIMARY KEY (owner, user)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO names_given SELECT '', user, name, 0 FROM people;
  DROP TABLE people`,
];
const mostNames = 10_000;

/** Whether `a` is the later word than `b`; of the same moment the name last in order counts, on all computers. */
function isLater(a: NameGiven, b: NameGiven): boolean {
  return a.time !== b.time ? a.time > b.time : (a.name ?? '') > (b.name ?? '');
}

/** Whose names for people are shown: those of the actor in use; '' while the keystore is locked or there is none. */
export function nameOwner(identity: Pick<Identity, 'status' | 'userId'>): UserId {
  return (identity.status().state === 'open' ? identity.userId() : null) ?? '';
}

export function createPeople(db: Database): People {
  migrate(db, 'people', migrations);
  const all = db.prepare<[string], { user: string; name: string }>(
    'SELECT user, name FROM names_given WHERE owner = ? AND name IS NOT NULL ORDER BY name, user',
  );
  const count = db.prepare<[string], { n: number }>('SELECT count(*) AS n FROM names_given WHERE owner = ?');
  const one = db.prepare<[string, string], NameGiven>(
    'SELECT user, name, time FROM names_given WHERE owner = ? AND user = ?',
  );
  const some = db.prepare<[string, string, number], NameGiven>(
    'SELECT user, name, time FROM names_given WHERE owner = ? AND user > ? ORDER BY user LIMIT ?',
  );
  const put = db.prepare('INSERT OR REPLACE INTO names_given VALUES (?, ?, ?, ?)');
  const adopt = db.prepare("UPDATE OR IGNORE names_given SET owner = ? WHERE owner = ''");
  return {
    list: (owner) => all.all(owner).map(({ user, name }) => ({ userId: user, name })),
    name(owner, user, name, now) {
      parseUserId(user);
      const before = one.get(owner, user);
      if (name === null && !before) return;
      if (!before && count.get(owner)!.n >= mostNames)
        throw new AppError('too_large', 'There are 10,000 names already.');
      // Later than what it replaces, whatever the clocks say.
      put.run(owner, user, name, Math.max(now, (before?.time ?? 0) + 1));
    },
    adopt: (owner) => void adopt.run(owner),
    page: (owner, after, limit) => some.all(owner, after, limit),
    given: (owner, user) => one.get(owner, user) ?? null,
    merge: (owner, names) =>
      db.transaction(() =>
        names.flatMap((given) => {
          const before = one.get(owner, given.user);
          if (before ? !isLater(given, before) : count.get(owner)!.n >= mostNames) return [];
          put.run(owner, given.user, given.name, given.time);
          return [given.user];
        }),
      )(),
  };
}
