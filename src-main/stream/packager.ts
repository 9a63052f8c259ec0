import { AppError } from '../../src-shared/errors.ts';
import type { Signer } from '../identity/index.ts';
import { hashChunks, signHeader } from './codec/header.ts';
import type { Run } from './codec/records.ts';
import type { StreamKeys } from './stream-keys.ts';
import { partTagBytes } from './stream-keys.ts';
import { limits } from './types.ts';
import type { Rendition, SignedHeader, StreamId } from './types.ts';

/** What an encoder says of a part; times in ticks. */
export interface PartMeta {
  readonly pts: number;
  readonly duration: number;
  /** ms since the epoch. */
  readonly captured: number;
  readonly independent: boolean;
  readonly segment: number;
}

/** Makes signed parts of what encoders send. */
export interface Packager {
  /** An init segment; a second one of a rendition that has sent parts begins a new run. @throws AppError */
  init(rendition: string, bytes: Uint8Array): void;
  /** @throws AppError `part_out_of_order`, `invalid_argument`, `too_large` */
  part(
    rendition: string,
    seq: number,
    meta: PartMeta,
    bytes: Uint8Array,
  ): { readonly header: SignedHeader; readonly payload: Uint8Array };
  /** The newest last. */
  runs(): readonly Run[];
  /** Highest `seq` sent; -1 before the first. */
  last(): number;
}

interface Lane {
  readonly rendition: Rendition;
  init: Uint8Array | null;
  /** Run of that init segment. */
  run: number;
  /** As the encoder counts. */
  lastSeq: number;
  lastSegment: number;
  /** As the stream counts. */
  first: number;
  segmentStart: number;
  prevHash: Uint8Array;
}

const mostRuns = 4;
const longestJump = 10_000;

/**
 * @param deps.epoch the key epoch in use; 0 for a stream that is not encrypted
 * @param deps.runBegan told before the first part of a new run is made
 */
export function createPackager(deps: {
  readonly stream: StreamId;
  readonly signer: Signer;
  readonly renditions: readonly Rendition[];
  readonly keys: StreamKeys | null;
  readonly epoch: () => number;
  readonly runBegan: (run: Run) => void;
  /** Where the stream goes on after the source's program was started anew. */
  readonly from?: {
    readonly run: number;
    readonly seq: number;
    readonly segment: number;
    readonly runs: readonly Run[];
  };
  /** Told before each part which numbers it has. */
  readonly reserve?: (seq: number, segment: number) => void;
}): Packager {
  const lanes = new Map<string, Lane>(
    deps.renditions.map((rendition) => [
      rendition.id,
      {
        rendition,
        init: rendition.kind === 'data' ? new Uint8Array() : null,
        run: rendition.kind === 'data' ? (deps.from?.run ?? 0) : -1,
        lastSeq: -1,
        lastSegment: -1,
        first: 0,
        segmentStart: 0,
        prevHash: new Uint8Array(32),
      },
    ]),
  );
  let run = deps.from?.run ?? 0;
  /** What is added to the encoder's numbers; known at the first part of a run. */
  let base: { readonly seq: number; readonly segment: number } | null = null;
  let last = (deps.from?.seq ?? 0) - 1;
  let lastSegment = (deps.from?.segment ?? 0) - 1;
  const runs: Run[] = [...(deps.from?.runs ?? [])];

  function laneOf(id: string): Lane {
    const lane = lanes.get(id);
    if (lane) return lane;
    throw new AppError('invalid_argument', `This stream has no rendition "${id}".`);
  }

  function beginRun(seq: number, segment: number): { readonly seq: number; readonly segment: number } {
    const begun: Run = {
      run,
      first: last + 1,
      inits: [...lanes.values()].map((lane) => lane.init ?? new Uint8Array()),
    };
    runs.push(begun);
    if (runs.length > mostRuns) runs.shift();
    deps.runBegan(begun);
    return { seq: last + 1 - seq, segment: lastSegment + 1 - segment };
  }

  return {
    init(id, bytes) {
      const lane = laneOf(id);
      if (lane.rendition.kind === 'data') throw new AppError('invalid_argument', 'Data has no init segment.');
      if (bytes.length < 8 || bytes.length > limits.initBytes)
        throw new AppError('too_large', 'An init segment has 8 bytes to 64 KiB.');
      if (Buffer.from(bytes.subarray(4, 8)).toString('latin1') !== 'ftyp')
        throw new AppError('invalid_argument', 'An init segment is a fragmented MP4 and begins with ftyp.');
      if (lane.run === run && lane.lastSeq >= 0) {
        // The encoder began anew: another run, for which every rendition needs its init segment again.
        run += 1;
        base = null;
      }
      lane.init = new Uint8Array(bytes);
      lane.run = run;
      lane.lastSeq = -1;
      lane.lastSegment = -1;
      if (base !== null) {
        const newest = runs.at(-1);
        if (newest?.run === run) {
          const inits = [...lanes.values()].map((one) => one.init ?? new Uint8Array());
          runs[runs.length - 1] = { ...newest, inits };
          deps.runBegan(runs.at(-1)!);
        }
      }
    },
    part(id, seq, meta, bytes) {
      const lane = laneOf(id);
      if (lane.init === null || lane.run !== run)
        throw new AppError('part_out_of_order', `The init segment of "${id}" comes first.`);
      if (bytes.length === 0) throw new AppError('invalid_argument', 'A part has at least one byte.');
      if (bytes.length + partTagBytes > limits.partBytes)
        throw new AppError('too_large', 'A part is at most 4 MiB large.');
      if (meta.duration > limits.partTicks || (meta.duration < 1 && lane.rendition.kind !== 'data'))
        throw new AppError('invalid_argument', 'A part lasts more than nothing and at most 2 s.');
      if (seq <= lane.lastSeq || (lane.lastSeq >= 0 && seq - lane.lastSeq > longestJump)) {
        throw new AppError(
          'part_out_of_order',
          `Part ${seq} of "${id}" does not come after ${lane.lastSeq}.`,
          {
            details: { last: lane.lastSeq },
          },
        );
      }
      // An encoder that goes on after a restart of the node has counted on: its first part of a run may have any number.
      const before = lane.lastSegment >= 0 ? lane.lastSegment : base ? -base.segment : meta.segment;
      if (meta.segment < lane.lastSegment || meta.segment - before > longestJump)
        throw new AppError('part_out_of_order', `Segment ${meta.segment} of "${id}" was ended already.`);
      base ??= beginRun(seq, meta.segment);
      const number = base.seq + seq;
      const segment = base.segment + meta.segment;
      if (number < runs.at(-1)!.first || segment < 0)
        throw new AppError('part_out_of_order', `Part ${seq} of "${id}" lies before the start of its run.`);
      const isNew = lane.lastSeq < 0 || meta.segment > lane.lastSegment;
      const segmentStart = isNew ? meta.pts : lane.segmentStart;
      if (meta.pts + meta.duration - segmentStart > limits.segmentTicks || meta.pts < segmentStart)
        throw new AppError(
          'invalid_argument',
          'A segment is at most 12 s long, and time does not go back in it.',
        );
      deps.reserve?.(number, segment);
      const epoch = deps.epoch();
      const head = {
        stream: deps.stream,
        run,
        epoch,
        rendition: deps.renditions.indexOf(lane.rendition),
        seq: number,
        segment,
        first: isNew ? number : lane.first,
        pts: meta.pts,
        duration: meta.duration,
        captured: meta.captured,
        independent: meta.independent,
        length: bytes.length + (deps.keys ? partTagBytes : 0),
        prevHash: lane.prevHash,
      };
      const payload = deps.keys ? deps.keys.sealPart(head, bytes) : new Uint8Array(bytes);
      const header = signHeader(deps.signer, { ...head, chunks: hashChunks(payload) });
      lane.lastSeq = seq;
      lane.lastSegment = meta.segment;
      lane.first = head.first;
      lane.segmentStart = segmentStart;
      lane.prevHash = new Uint8Array(Buffer.from(header.hash, 'hex'));
      last = Math.max(last, number);
      lastSegment = Math.max(lastSegment, segment);
      return { header, payload };
    },
    runs: () => runs,
    last: () => last,
  };
}
