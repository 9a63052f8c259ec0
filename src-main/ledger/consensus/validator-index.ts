import type { Validator, ValidatorId, ValidatorSet } from '../types.ts';

/** A validator set with what is asked of it all the time. */
export interface ValidatorIndex {
  readonly set: ValidatorSet;
  readonly total: bigint;
  /** Position in the set, or -1. */
  indexOf(id: ValidatorId): number;
  at(index: number): Validator;
}

/** The name of a hash or id as a map key. */
export const keyOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

export const equalIds = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === b || (a !== null && b !== null && Buffer.compare(a, b) === 0);

export function indexValidators(set: ValidatorSet): ValidatorIndex {
  const places = new Map(set.map((validator, index) => [keyOf(validator.id), index]));
  return {
    set,
    total: set.reduce((sum, validator) => sum + validator.power, 0n),
    indexOf: (id) => places.get(keyOf(id)) ?? -1,
    at: (index) => set[index] as Validator,
  };
}

/** More than two thirds: any two such groups share more than a third, so at least one honest member. */
export const isQuorum = (power: bigint, total: bigint): boolean => 3n * power > 2n * total;

/** More than a third: at least one honest member. */
export const hasHonest = (power: bigint, total: bigint): boolean => 3n * power > total;
