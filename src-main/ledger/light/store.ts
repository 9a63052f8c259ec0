import { openDatabase } from '../../store/index.ts';
import {
  decodeSignedHeader,
  decodeValidatorSet,
  encodeSignedHeader,
  encodeValidatorSet,
} from '../codec/index.ts';
import type { LightBlock } from './verify.ts';

/** Headers a light client verified, with their sets; the newest is what it trusts. */
export interface LightStore {
  newest(): LightBlock | null;
  get(height: number): LightBlock | null;
  add(block: LightBlock): void;
  close(): void;
}

/** Older ones are proven anew when they are asked for. */
const kept = 1000;
const migrations = {
  light: [
    'CREATE TABLE light_blocks (height INTEGER PRIMARY KEY, signed BLOB NOT NULL, validators BLOB NOT NULL) STRICT',
  ],
};

/** @throws AppError of opening a database */
export function openLightStore(path: string): LightStore {
  const db = openDatabase(path, { migrations, cacheKiB: 256 });
  interface Row {
    signed: Uint8Array;
    validators: Uint8Array;
  }
  const newest = db.prepare<[], Row>(
    'SELECT signed, validators FROM light_blocks ORDER BY height DESC LIMIT 1',
  );
  const get = db.prepare<[number], Row>('SELECT signed, validators FROM light_blocks WHERE height = ?');
  const insert = db.prepare(
    'INSERT OR REPLACE INTO light_blocks (height, signed, validators) VALUES (?, ?, ?)',
  );
  const trim = db.prepare(
    `DELETE FROM light_blocks WHERE height < (SELECT height FROM light_blocks ORDER BY height DESC LIMIT 1 OFFSET ${kept})`,
  );
  const read = (row: Row | undefined): LightBlock | null =>
    row
      ? {
          signed: decodeSignedHeader(new Uint8Array(row.signed)),
          validators: decodeValidatorSet(new Uint8Array(row.validators)),
        }
      : null;
  return {
    newest: () => read(newest.get()),
    get: (height) => read(get.get(height)),
    add({ signed, validators }) {
      insert.run(signed.header.height, encodeSignedHeader(signed), encodeValidatorSet(validators));
      trim.run();
    },
    close: () => void db.close(),
  };
}
