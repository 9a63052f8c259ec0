import type { Clock, Logger, RandomBytes } from '../../../src-shared/runtime.ts';
import type { DeviceId, Signer } from '../../identity/index.ts';
import type { FrameStream, Network } from '../../network/index.ts';
import type {
  AudienceRecord,
  Description,
  Genesis,
  KeyRecord,
  Programme,
  Receipt,
} from '../codec/records.ts';
import type { HlsOrigin } from '../hls/origin.ts';
import type { StreamKeys } from '../stream-keys.ts';
import type { SignedHeader, StreamId } from '../types.ts';
import type { PartRing, RingPlace } from '../part-ring.ts';
import type { UplinkSample } from './link.ts';
import type { Conditions, Peer } from './overlay-driver.ts';

/** Who may be asked for a place in a stream. */
export interface Contact {
  readonly peer: Peer;
  readonly addresses: readonly string[];
}

export interface SessionDeps {
  readonly network: Pick<Network, 'peerId' | 'open' | 'connect' | 'penalise' | 'peers'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: RandomBytes;
  readonly device: Signer;
  /** Opens a box for the user of this node; null when it is for somebody else. */
  readonly tryUnwrap: (box: Uint8Array) => Uint8Array | null;
  /** `uplink` 0: as measured. */
  readonly conditions: () => Conditions;
  /** What is known of this computer's uplink, of all streams together. Bits a second; null: nothing yet. */
  readonly uplink: {
    rate(): number | null;
    add(sample: UplinkSample, backlogged: boolean): void;
  };
  /** Where parts lie that memory has no room for; null: nowhere, and one can go back a short time only. */
  readonly openRing:
    | ((
        stream: StreamId,
        found?: (header: Uint8Array, place: RingPlace) => number | null,
      ) => Promise<PartRing>)
    | null;
  /** What of the newest parts stays in memory beside that, bytes. */
  readonly hotBytes?: number | undefined;
  /** The list or the figures of this stream may look different. */
  readonly changed: () => void;
  /** Somebody this node sent parts to says so, signed. */
  readonly receipt: (receipt: Receipt) => void;
  /** Negative controls of tests. */
  readonly without?: 'signatures' | 'backups' | 'repeaters' | undefined;
}

export interface SessionStats {
  readonly role: 'source' | 'repeater' | 'viewer';
  readonly depth: number | null;
  readonly parent: DeviceId | null;
  readonly backups: readonly DeviceId[];
  readonly children: readonly DeviceId[];
  readonly branches: readonly {
    readonly peerId: DeviceId;
    readonly viewers: number;
    readonly queueMs: number;
    readonly dropped: number;
    readonly rtt: number | null;
  }[];
  readonly sent: number;
  readonly received: number;
  readonly duplicateBytes: number;
  readonly rejected: number;
  readonly latencyMs: number | null;
  readonly gaps: number;
  readonly switches: number;
  readonly longestPauseMs: number;
  readonly viewers: number;
  readonly run: number;
  readonly parts: number;
  readonly ingested: number;
  /** Bytes a second. */
  readonly uplink: number;
  /** Renditions of which parts came in the last seconds. */
  readonly arriving: readonly string[];
}

/** This node's part in one live stream: what it holds, who it is linked to, what it shows. */
export interface Session {
  readonly streamId: StreamId;
  genesis(): Genesis | null;
  description(): Description | null;
  /** Null while it has not come, or may not be read. */
  programme(): Programme | null;
  readonly keys: StreamKeys;
  /** Takes the key of a link: from now on the stream can be read. */
  unlock(audienceKey: Uint8Array): void;
  /** Resolves when what is needed to take part is here. @throws AppError `stream_unknown`, `not_invited`, `timeout` */
  ready(signal: AbortSignal): Promise<void>;
  origin(): HlsOrigin;
  /** More members to ask. */
  meet(contacts: readonly Contact[]): void;
  /** Takes a link somebody opened. */
  accept(stream: FrameStream): Promise<void>;
  /** Players here; they decide what is fetched. */
  watch(renditions: readonly number[], players: number): void;
  /** Of the source: what is new. */
  publish(entry: { readonly header: SignedHeader; readonly payload: Uint8Array }): void;
  describe(description: Description): void;
  publishKey(record: KeyRecord): void;
  publishAudience(record: AudienceRecord): void;
  stats(): SessionStats;
  /** Media that waits for the slowest child, ms; acknowledged bytes a second; parts not sent. */
  health(): { readonly queueMs: number; readonly uplink: number; readonly dropped: number };
  ended(): boolean;
  /** When something new came last, ms of the steady clock. */
  heardAt(): number;
  /** Its source has gone without a word: it ends here. */
  lose(): void;
  /** It stops and comes back: what it has on disk stays, and nobody is told of an end. */
  suspend(): Promise<void>;
  /** Ends an own stream, or leaves another's. */
  stop(): Promise<void>;
}
