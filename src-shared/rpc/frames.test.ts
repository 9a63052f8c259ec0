import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError, isAppError } from '../errors.ts';
import { decodeCallerFrame, decodeServerFrame, encodeFrame, errorToWire, maxMessage } from './frames.ts';

const decoders = { decodeCallerFrame, decodeServerFrame };

/** Frames that are nearly right, and anything at all. */
const messages = fc.oneof(
  fc.string(),
  fc.anything(),
  fc.json(),
  fc
    .record(
      {
        t: fc.oneof(
          fc.constantFrom('open', 'ok', 'item', 'end', 'err', 'cancel', 'credit', 'ping', 'pong'),
          fc.anything(),
        ),
        id: fc.oneof(fc.nat(), fc.double(), fc.anything()),
        call: fc.oneof(fc.constant('node.status'), fc.anything()),
        n: fc.oneof(fc.integer(), fc.anything()),
        error: fc.oneof(fc.record({ code: fc.string(), message: fc.string() }), fc.anything()),
      },
      { requiredKeys: [] },
    )
    .map((frame) => {
      try {
        return JSON.stringify(frame);
      } catch {
        return frame;
      }
    }),
);

describe.each(Object.entries(decoders))('%s', (_, decode) => {
  it('answers whatever comes with a frame or a declared error', () => {
    fc.assert(
      fc.property(messages, (message) => {
        try {
          const frame = decode(message);
          expect(decode(encodeFrame(frame))).toEqual(frame);
        } catch (error) {
          expect(
            isAppError(error, 'protocol_violation') || isAppError(error, 'too_large'),
            String(error),
          ).toBe(true);
        }
      }),
      { seed: 11, numRuns: 3000 },
    );
  });

  it('refuses messages beyond the limit before it parses them', () => {
    expect(() => decode(`"${'x'.repeat(maxMessage)}"`)).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    );
  });
});

describe('errors on the wire', () => {
  it('tells nothing of failures that are not declared', () => {
    const wire = errorToWire(new TypeError('secret /home/user/phrase.txt'));
    expect(wire.code).toBe('internal');
    expect(JSON.stringify(wire)).not.toMatch(/secret|phrase|stack/);
  });

  it('passes declared ones with their details, but never the cause', () => {
    const error = new AppError('disk_full', 'The disk is full.', {
      details: { path: 'a' },
      cause: new Error('inner'),
    });
    expect(errorToWire(error)).toEqual({
      code: 'disk_full',
      message: 'The disk is full.',
      details: { path: 'a' },
    });
  });

  it('leaves out details that can not be written', () => {
    const error = new AppError('disk_full', 'The disk is full.', { details: { size: 5n } });
    expect(errorToWire(error)).toEqual({ code: 'disk_full', message: 'The disk is full.' });
  });

  it('reads codes it does not know as internal', () => {
    const frame = decodeServerFrame('{"t":"err","id":1,"error":{"code":"from_the_future","message":"x"}}');
    expect(frame).toMatchObject({ error: { code: 'internal', message: 'x' } });
  });
});
