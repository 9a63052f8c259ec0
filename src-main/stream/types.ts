/** Lower-case hex of the SHA-256 of a stream's genesis. */
export type StreamId = string;

/** What a rendition carries; `data` is any bytes in order. */
export type RenditionKind = 'av' | 'audio' | 'data';

/** One encoding of a stream. Its place in the list is its number on the wire, 0 the best. */
export interface Rendition {
  readonly id: string;
  readonly kind: RenditionKind;
  /** RFC 6381; '' for data. */
  readonly codecs: string;
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly frameRate?: number | undefined;
  /** Highest bits a second over a segment. */
  readonly bandwidth: number;
}

export type TargetLatency = 'default' | 'interactive';

/** `public` and `unlisted` streams are for whom has the link; `private` ones for named users. All but public ones are encrypted. */
export type AudienceKind = 'public' | 'unlisted' | 'private';

/** Ticks of the media clock in a second. */
export const ticks = 90_000;

/** Bounds of what is taken from encoders and from the network. */
export const limits = {
  renditions: 6,
  /** Payload of one part, ciphertext tag included, bytes. */
  partBytes: 4 * 1024 * 1024 + 16,
  chunkBytes: 16 * 1024,
  initBytes: 64 * 1024,
  /** Longest part, ticks. */
  partTicks: 2 * ticks,
  /** Longest segment, ticks: a segment that does not end is ended by the packager. */
  segmentTicks: 12 * ticks,
  /** Memory that the window of one stream may take, bytes. */
  windowBytes: 256 * 1024 * 1024,
  /** Disk that the older parts of one stream may take, bytes. */
  ringBytes: 1024 * 1024 * 1024,
  /** Without a disk for them, parts are kept so long, s. */
  memorySeconds: 120,
  /** Users a stream can be for. */
  viewers: 1000,
  titleBytes: 800,
  /** A picture for the lists. */
  posterBytes: 64 * 1024,
} as const;

/** What a part is, as its source signed it. Times in ticks of 1/90000 s from the start of the run. */
export interface PartHeader {
  readonly stream: StreamId;
  /** Counts restarts of the encoder. */
  readonly run: number;
  /** Which stream key encrypted it; 0 where nothing is encrypted. */
  readonly epoch: number;
  readonly rendition: number;
  /** Grows through the whole stream; the same number covers the same time in every rendition. */
  readonly seq: number;
  readonly segment: number;
  /** `seq` of the first part of its segment. */
  readonly first: number;
  readonly pts: number;
  readonly duration: number;
  /** ms since the epoch, of the source's clock. */
  readonly captured: number;
  readonly independent: boolean;
  /** Payload bytes as they are sent. */
  readonly length: number;
  /** Hash of the header before it in this rendition; zeros at the very first. */
  readonly prevHash: Uint8Array;
  /** SHA-256 of each 16 KiB of the payload. */
  readonly chunks: readonly Uint8Array[];
}

/** What lists of parts need of a header, which is a kilobyte. */
export type PartNote = Pick<
  PartHeader,
  'rendition' | 'seq' | 'first' | 'segment' | 'run' | 'duration' | 'captured' | 'independent'
>;

/** A header with its signature, and its hash. */
export interface SignedHeader extends PartHeader {
  readonly bytes: Uint8Array;
  /** SHA-256 of what was signed, hex. */
  readonly hash: string;
}
