import type { Clock, Events, Logger, RandomBytes, Service } from '../../src-shared/runtime.ts';
import type { DeviceCertificate, DeviceId, Signer, UserId } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import type { Receipt, StreamAnnouncement } from './codec/records.ts';
import type { HlsFile } from './hls/origin.ts';
import type { SessionStats } from './live/session-types.ts';
import type { OwnStreamKeeper } from './own-stream.ts';
import type { StreamPosition } from './own-state.ts';
import type { PartMeta } from './packager.ts';
import type { AudienceKind, Rendition, StreamId, TargetLatency } from './types.ts';

/** What is to be sent. */
export interface StartOptions {
  readonly title: string;
  /** A JPEG or WebP of at most 64 KiB for lists and the player. */
  readonly poster?: Uint8Array | null;
  /** `public`, `unlisted`, or the users it is for. */
  readonly audience: 'public' | 'unlisted' | readonly UserId[];
  readonly renditions: readonly Rendition[];
  readonly dvrSeconds: number;
  readonly targetLatency: TargetLatency;
  readonly partMs: number;
  readonly fanOut: number | null;
  /**
   * The encoder comes back by itself when this program was started anew, so the stream waits for it. Without, the stream ends when this
   * program is ended in order.
   */
  readonly outlives?: boolean;
  /** Told of each run and part of the first rendition as it is sent, readable: the recorder. */
  readonly record?: {
    init(bytes: Uint8Array): void;
    part(bytes: Uint8Array): void;
  } | null;
}

/** Who may watch from now on, and who no longer. */
export interface AudienceChange {
  readonly add: readonly UserId[];
  readonly remove: readonly UserId[];
}

/** One stream as lists show it. */
export interface StreamInfo {
  readonly streamId: StreamId;
  readonly title: string;
  readonly user: UserId | null;
  readonly link: string;
  readonly audience: AudienceKind;
  readonly state: 'live' | 'ended';
  /** Its source has gone for a moment, as it said itself. */
  readonly away: boolean;
  /** SHA-256 of its picture in hex. */
  readonly poster: string | null;
  readonly own: boolean;
  readonly watching: boolean;
  readonly startedAt: number;
  readonly viewers: number;
  readonly renditions: readonly Rendition[];
  readonly targetLatency: TargetLatency;
  readonly dvrSeconds: number;
}

/** What an encoder hands in of one stream. */
export interface Ingest {
  /** @throws AppError `invalid_argument`, `too_large`, `stream_ended` */
  init(rendition: string, bytes: Uint8Array): Promise<void>;
  /**
   * Parts of a rendition come in order of `seq`; one may be left out.
   * @throws AppError `part_out_of_order`, `invalid_argument`, `too_large`, `stream_ended`
   */
  part(rendition: string, seq: number, meta: PartMeta, bytes: Uint8Array): Promise<void>;
  /** Nothing more will come. */
  end(): Promise<void>;
  health(): {
    /** Media that waits to leave for the slowest computer it is sent to, ms. */
    readonly queueMs: number;
    /** What this computer's uplink is known to carry, bytes a second; 0: nothing is known. */
    readonly uplink: number;
    /** Parts that were not sent to somebody, since the start. */
    readonly dropped: number;
    readonly viewers: number;
  };
  readonly ended: Promise<void>;
}

/** What one player asks of a stream. */
export interface Playback {
  /**
   * @param file relative to the multivariant playlist
   * @param signal ends waiting for what is not there yet
   * @throws AppError `not_found`, `invalid_argument`, `gone`, `timeout`
   */
  get(file: string, query: URLSearchParams, signal: AbortSignal): Promise<HlsFile>;
  /** Where it begins: `stream.m3u8`, or the bytes of a stream of data. */
  readonly entrance: string;
  close(): void;
  readonly closed: Promise<void>;
}

export type StreamsEvents = {
  /** Lists and figures may look different. */
  changed: Record<string, never>;
  /** Somebody went live whom this node had not heard of before. */
  live: { readonly announcement: StreamAnnouncement };
  /** A viewer's device says, signed, what it got from this one: the hook for rewards. */
  receipt: { readonly receipt: Receipt };
};

export interface StreamsDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: RandomBytes;
  readonly device: Signer;
  readonly certificate: () => DeviceCertificate;
  readonly tryUnwrap: (box: Uint8Array) => Uint8Array | null;
  /** X25519 key of a user. @throws AppError `user_unknown` */
  readonly encryptionKey: (user: UserId, signal: AbortSignal) => Promise<Uint8Array>;
  readonly relay: () => {
    readonly enabled: 'auto' | 'on' | 'off';
    /** Bytes a second; null: as measured. */
    readonly uplink: number | null;
  };
  /** On mains, as far as can be told. */
  readonly powered: () => boolean;
  /** Streams of these users are remembered when too many are announced. */
  readonly followed?: () => readonly UserId[];
  /** A folder for parts that memory has no room for; without one, one can go back a short time only. */
  readonly folder?: string;
  /** What the parts of one stream may take of it, bytes. */
  readonly ringBytes?: number;
  /** What of the newest parts stays in memory beside that, bytes. */
  readonly hotBytes?: number;
  /** Where own streams are kept over a restart of this program; without it they end with it. */
  readonly keeper?: OwnStreamKeeper & {
    /** What an earlier start left. @returns `at`: when it was last said to be running, ms since the epoch */
    list(): readonly {
      readonly streamId: StreamId;
      readonly state: Uint8Array;
      readonly position: StreamPosition;
      readonly near: readonly DeviceId[];
      readonly at: number;
    }[];
  };
  /** Negative controls of tests. */
  readonly without?: 'signatures' | 'backups' | 'repeaters';
}

/** All streams of a node: sent from here, watched here, passed on. */
export interface Streams extends Service, Events<StreamsEvents> {
  start(): Promise<void>;
  begin(
    options: StartOptions,
    signal: AbortSignal,
  ): Promise<{ readonly streamId: StreamId; readonly link: string }>;
  /** @throws AppError `stream_unknown`, `not_allowed` for a stream of somebody else */
  end(stream: string): Promise<void>;
  /**
   * Says anew whom an own private stream is for. What is sent from now on opens for nobody else.
   * @returns all it is for, the own user left out
   * @throws AppError `stream_unknown`, `not_allowed` for other streams, `user_unknown`, `too_many`, `stream_ended`
   */
  invite(stream: string, change: AudienceChange, signal: AbortSignal): Promise<readonly UserId[]>;
  list(): readonly StreamInfo[];
  /** @throws AppError `stream_unknown`, `not_invited`, `timeout` */
  watch(stream: string, signal: AbortSignal): Promise<StreamId>;
  leave(stream: string): Promise<void>;
  /** The picture of a stream: a JPEG or WebP; null when it has none, or nobody has it. @throws AppError `stream_unknown` */
  poster(stream: string, signal: AbortSignal): Promise<Uint8Array | null>;
  stats(stream: string): SessionStats;
  ingest(stream: StreamId): Ingest;
  /**
   * An own stream that an encoder comes back to, also after a restart of this program; init segments come first again.
   * @throws AppError `stream_unknown`, `not_allowed`, `stream_ended`
   */
  resume(stream: string): { readonly streamId: StreamId; readonly link: string };
  /** Who is told of the runs and parts of an own stream from now on. */
  record(stream: StreamId, to: StartOptions['record']): void;
  playback(stream: StreamId): Playback;
  /** The newest receipt of each device for each stream, newest first. */
  receipts(): readonly Receipt[];
  /** The settings of passing on have changed. */
  relayChanged(): void;
}
