import { setImmediate } from 'node:timers/promises';

/** About 3 ms of work: a signature check counts 1. */
const budget = 16;
/** Hashing and copying this many bytes takes about as long as one signature check. */
const bytesPerUnit = 128 * 1024;

/**
 * Lets long jobs give way: call it after each piece of work with what the piece cost (1 = one signature check); every few
 * milliseconds of work it lets the event loop turn. Counts instead of reading a clock, so a run can be repeated exactly.
 */
export function createPace(): (cost: number) => Promise<void> | void {
  let spent = 0;
  return (cost) => {
    spent += cost;
    if (spent < budget) return;
    spent = 0;
    return setImmediate();
  };
}

/** The cost of going over a record of that many bytes and looking it up. */
export function byteCost(bytes: number): number {
  return 0.2 + bytes / bytesPerUnit;
}
