import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { AppError } from '../../../src-shared/errors.ts';
import { createCalls, ownBytes } from './calls.ts';

const ports: { close(): void }[] = [];
afterEach(() => ports.splice(0).forEach((port) => port.close()));

const theirs = {
  add: (a: number, b: number) => a + b,
  refuse(): never {
    throw new AppError('not_found', 'Nothing there.', { details: { at: 3 } });
  },
  fail(): never {
    throw new Error('a secret path');
  },
  wait: (_name: string, signal?: AbortSignal) =>
    new Promise<string>((resolve) => signal?.addEventListener('abort', () => resolve('stopped'))),
};

function pair(faults: unknown[] = []) {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  createCalls<object>(port2, theirs, (error) => void faults.push(error));
  return createCalls<typeof theirs>(port1, {}, () => {});
}

describe('calls between threads', () => {
  it('bring back values and refusals, in the order of the calls', async () => {
    const calls = pair();
    expect(await Promise.all([calls.call('add', [1, 2]), calls.call('add', [3, 4])])).toEqual([3, 7]);
    await expect(calls.call('refuse', [])).rejects.toMatchObject({ code: 'not_found', details: { at: 3 } });
  });

  it('tell nobody but the log what an error of the program says', async () => {
    const faults: unknown[] = [];
    const calls = pair(faults);
    await expect(calls.call('fail', [])).rejects.toMatchObject({
      code: 'internal',
      message: 'Something went wrong inside.',
    });
    calls.tell('fail', []);
    await calls.call('add', [1, 1]);
    expect(faults).toHaveLength(2);
  });

  it('can be cancelled, and fail all at once when the other side is gone', async () => {
    const calls = pair();
    const abort = new AbortController();
    const waiting = calls.call('wait', ['a'], abort.signal);
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    await expect(calls.call('wait', ['b'], abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
    const lost = calls.call('wait', ['c']);
    calls.end(new AppError('chain_halted', 'Gone.'));
    await expect(lost).rejects.toMatchObject({ code: 'chain_halted' });
    await expect(calls.call('add', [1, 1])).rejects.toMatchObject({ code: 'chain_halted' });
  });

  it('carry only the bytes that are meant', () => {
    const pool = new Uint8Array(1000);
    expect(ownBytes(pool)).toBe(pool);
    expect(ownBytes(pool.subarray(3, 5)).buffer.byteLength).toBe(2);
    expect(ownBytes(Buffer.from('ab')).constructor).toBe(Uint8Array);
  });
});
