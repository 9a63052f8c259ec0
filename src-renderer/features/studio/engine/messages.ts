/** What the window and the worker that draws and encodes say to each other. */

/** A place in the picture, in shares of its width and height. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface TextLook {
  readonly title: string;
  readonly line: string;
  /** A colour of the bar beside the words. */
  readonly colour: string;
}

/** One thing that is drawn, from back to front. */
export type Layer =
  | {
      readonly id: string;
      readonly kind: 'video' | 'image';
      readonly source: string;
      readonly box: Box;
      /** `cover` fills its place and loses edges, `contain` shows all. */
      readonly fit: 'cover' | 'contain';
    }
  | { readonly id: string; readonly kind: 'text'; readonly box: Box; readonly text: TextLook };

export interface SceneDrawing {
  readonly id: string;
  readonly layers: readonly Layer[];
}

export interface VideoPlan {
  /** Name of the rendition in playlists. */
  readonly id: string;
  readonly codec: string;
  readonly width: number;
  readonly height: number;
  readonly bitrate: number;
}

export interface LivePlan {
  readonly videos: readonly VideoPlan[];
  readonly audioBitrate: number;
  readonly fps: number;
}

/** A rendition as the encoders turned out to make it. */
export interface MadeRendition {
  readonly id: string;
  readonly kind: 'av' | 'audio';
  /** RFC 6381, of pictures and sound. */
  readonly codecs: string;
  readonly width?: number;
  readonly height?: number;
  readonly bandwidth: number;
}

export type ToWorker =
  | { readonly kind: 'canvas'; readonly width: number; readonly height: number; readonly fps: number }
  | { readonly kind: 'scenes'; readonly scenes: readonly SceneDrawing[]; readonly shown: string }
  | { readonly kind: 'video'; readonly source: string; readonly frames: ReadableStream<VideoFrame> }
  | { readonly kind: 'image'; readonly source: string; readonly bitmap: ImageBitmap }
  | { readonly kind: 'forget'; readonly source: string }
  | { readonly kind: 'preview'; readonly canvas: OffscreenCanvas | null }
  | { readonly kind: 'sound'; readonly port: MessagePort }
  | { readonly kind: 'live'; readonly plan: LivePlan }
  | { readonly kind: 'ingest'; readonly url: string }
  | { readonly kind: 'end' }
  /** Makes a still picture, of what is sent or of this one. Answered by `still`. */
  | { readonly kind: 'still'; readonly of: ImageBitmap | null }
  | { readonly kind: 'probe'; readonly call: number };

/** How going live goes, twice a second. */
export interface Health {
  /** ms since it went live. */
  readonly runningMs: number;
  /** Pictures that wait for the encoder, as time. */
  readonly queueMs: number;
  /** Pictures made and left out, since the start and lately (a share of the last seconds). */
  readonly made: number;
  readonly dropped: number;
  readonly droppedLately: number;
  /** Ends of pictures and sound apart, ms. */
  readonly apartMs: number;
  /** What was made, bits a second over the last seconds, all renditions. */
  readonly bitrate: number;
  /** Pictures a second made over the last seconds. */
  readonly fps: number;
  /** Parts not yet taken by the node, ms of the stream. */
  readonly backlogMs: number;
  /** As the node says: media that waits to leave, ms; what the uplink carries, bytes a second; parts dropped for children; players. */
  readonly nodeQueueMs: number;
  readonly uplink: number;
  readonly nodeDropped: number;
  readonly viewers: number;
  /** How far quality was taken back, 0 is all of it. */
  readonly step: number;
  readonly reason: 'none' | 'machine' | 'uplink';
  readonly soundFilledMs: number;
}

export interface ProbeResult {
  readonly family: 'h264' | 'vp9' | 'av1';
  readonly codec: string;
  readonly height: number;
  readonly width: number;
  /** Pictures a second that one encoder made. */
  readonly speed: number;
}

export type Trouble = 'encoder_failed' | 'sound_encoder_failed' | 'node_lost' | 'stream_ended' | 'refused';

export type FromWorker =
  | { readonly kind: 'health'; readonly health: Health }
  | { readonly kind: 'trouble'; readonly trouble: Trouble; readonly detail: string }
  | { readonly kind: 'ready'; readonly renditions: readonly MadeRendition[] }
  | { readonly kind: 'began' }
  | { readonly kind: 'ended' }
  /** A small JPEG; null: there is nothing to see. */
  | { readonly kind: 'still'; readonly bytes: Uint8Array<ArrayBuffer> | null }
  | { readonly kind: 'sourceEnded'; readonly source: string }
  | { readonly kind: 'sourceSize'; readonly source: string; readonly width: number; readonly height: number }
  | { readonly kind: 'thumb'; readonly scene: string; readonly bitmap: ImageBitmap }
  | { readonly kind: 'probed'; readonly call: number; readonly results: readonly ProbeResult[] };
