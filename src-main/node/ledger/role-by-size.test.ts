import { describe, expect, it } from 'vitest';
import { roleBySize } from './role-by-size.ts';

const full = { role: 'full', auto: true, lightened: null } as const;
const large = { bytes: 101, bound: 100, inStep: true, needed: false };
const light = { role: 'light', auto: true, lightened: { time: 1, bytes: 101 } } as const;

describe('the role of a ledger by its size', () => {
  it('gives way above the bound only', () => {
    expect(roleBySize(full, large)).toBe('light');
    expect(roleBySize(full, { ...large, bytes: 100 })).toBeNull();
    expect(roleBySize(full, { ...large, bound: null })).toBeNull();
  });

  it('leaves a role that somebody chose, validators, what is needed whole and what others may not have', () => {
    expect(roleBySize({ ...full, auto: false }, large)).toBeNull();
    expect(roleBySize({ ...full, role: 'validator' }, large)).toBeNull();
    expect(roleBySize(full, { ...large, needed: true })).toBeNull();
    expect(roleBySize(full, { ...large, inStep: false })).toBeNull();
  });

  it('comes back when much more is allowed, not just a little', () => {
    const facts = { ...large, bytes: null };
    expect(roleBySize(light, facts)).toBeNull();
    expect(roleBySize(light, { ...facts, bound: 134 })).toBeNull();
    expect(roleBySize(light, { ...facts, bound: 135 })).toBe('full');
    expect(roleBySize(light, { ...facts, bound: null })).toBe('full');
    expect(roleBySize({ ...light, lightened: null, auto: false }, { ...facts, bound: null })).toBeNull();
  });
});
