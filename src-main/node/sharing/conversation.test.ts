import { expect, test } from 'vitest';
import { AppError } from '../../../src-shared/errors.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import type { FrameStream } from '../../network/index.ts';
import { askToShare, createSharingServer } from './conversation.ts';

/** Two ends of one stream. */
function pipe(peer: string): { readonly asking: FrameStream; readonly serving: FrameStream } {
  const end = () => {
    const frames: (Uint8Array | null)[] = [];
    let wake = (): void => {};
    return {
      push(frame: Uint8Array | null) {
        frames.push(frame);
        wake();
      },
      async pull(): Promise<Uint8Array | null> {
        while (frames.length === 0) await new Promise<void>((done) => (wake = done));
        return frames.shift() ?? null;
      },
    };
  };
  const [up, down] = [end(), end()];
  const stream = (read: typeof up, write: typeof up): FrameStream => ({
    peer,
    send: (frame) => Promise.resolve(write.push(frame as Uint8Array)),
    read: () => read.pull(),
    close: () => Promise.resolve(write.push(null)),
    abort: () => write.push(null),
    closed: Promise.resolve(),
  });
  return { asking: stream(down, up), serving: stream(up, down) };
}

test('who floods with wrong links is not looked at for a minute; others are', async () => {
  let now = 0;
  const clock: Clock = { now: () => now, after: () => () => {} };
  let looked = 0;
  const serve = createSharingServer({
    clock,
    random: (n) => new Uint8Array(n),
    decide() {
      looked += 1;
      return Promise.reject(new AppError('forbidden', 'No.'));
    },
  });
  const ask = async (peer: string): Promise<string> => {
    const { asking, serving } = pipe(peer);
    const served = serve(serving);
    const prove = () => ({ proof: new Uint8Array(64), card: new Uint8Array() });
    const hello = { drive: `b${'a'.repeat(58)}`, ref: '00'.repeat(16) };
    const code = await askToShare(asking, hello, prove, new AbortController().signal).then(
      () => 'yes',
      (error: unknown) => (error as AppError).code,
    );
    await served;
    return code;
  };
  const codes: string[] = [];
  for (let i = 0; i < 30; i++) codes.push(await ask('flooder'));
  expect(codes.filter((code) => code === 'forbidden')).toHaveLength(20);
  expect(codes.slice(20).every((code) => code === 'rate_limited')).toBe(true);
  expect(looked).toBe(20);
  expect(await ask('somebody else')).toBe('forbidden');
  now += 61_000;
  expect(await ask('flooder')).toBe('forbidden');
});
