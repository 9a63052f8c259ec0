import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import { createFrameParser, encodeFrameLength } from '../../src-shared/frame-parser.ts';

/** Cuts bytes at the given places, as a network would. */
function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (let n = 0; offset < bytes.length; n++) {
    const size = sizes.length === 0 ? bytes.length : Math.max(1, sizes[n % sizes.length]!);
    parts.push(bytes.subarray(offset, offset + size));
    offset += size;
  }
  return parts;
}

describe('frame parser', () => {
  it('gives back what was framed, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 10 }),
        fc.boolean(),
        (frames, sizes, lazily) => {
          const wire = Buffer.concat(frames.flatMap((frame) => [encodeFrameLength(frame.length), frame]));
          const parser = createFrameParser(400);
          const got: Uint8Array[] = [];
          const drain = (): void => {
            for (let frame = parser.next(); frame; frame = parser.next()) got.push(frame);
          };
          for (const part of cut(wire, sizes)) {
            parser.push(part);
            if (!lazily) drain();
          }
          drain();
          expect(got.map((frame) => Buffer.from(frame).toString('hex'))).toEqual(
            frames.map((frame) => Buffer.from(frame).toString('hex')),
          );
          expect(parser.partial()).toBe(false);
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });

  it('answers any bytes with frames within the limit or a typed error', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 }), (parts) => {
        const parser = createFrameParser(100);
        try {
          for (const part of parts) {
            parser.push(part);
            for (let frame = parser.next(); frame; frame = parser.next()) {
              expect(frame.length).toBeLessThanOrEqual(100);
            }
          }
        } catch (error) {
          expect(isAppError(error, 'too_large') || isAppError(error, 'protocol_violation')).toBe(true);
        }
      }),
      { seed: 2, numRuns: 1000 },
    );
  });

  it('refuses a length above the limit before any of the frame came', () => {
    const parser = createFrameParser(1000);
    parser.push(encodeFrameLength(1001));
    expect(() => parser.next()).toThrow(expect.objectContaining({ code: 'too_large' }));
  });

  it('refuses a length that never ends and one that is padded', () => {
    const endless = createFrameParser(1000);
    endless.push(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff));
    expect(() => endless.next()).toThrow(expect.objectContaining({ code: 'protocol_violation' }));
    const padded = createFrameParser(1000);
    padded.push(Uint8Array.of(0x81, 0x00));
    expect(() => padded.next()).toThrow(expect.objectContaining({ code: 'protocol_violation' }));
  });

  it('does not copy a frame that lies in one chunk', () => {
    const parser = createFrameParser(1000);
    const chunk = Uint8Array.of(3, 7, 8, 9, 1);
    parser.push(chunk);
    const frame = parser.next()!;
    expect(frame.buffer).toBe(chunk.buffer);
    expect([...frame]).toEqual([7, 8, 9]);
  });
});
