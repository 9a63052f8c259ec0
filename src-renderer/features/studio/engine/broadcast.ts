import {
  createFrameClock,
  createPartCutter,
  createSoundLine,
  endOf,
  writeInit,
  writePart,
} from '../../../../src-shared/media/index.ts';
import type { CutPart, PartCutter } from '../../../../src-shared/media/index.ts';
import { bandwidthOf } from '../plan.ts';
import { createPictureEncoder, createSoundEncoder } from './encoders.ts';
import type { PictureEncoder } from './encoders.ts';
import type { Health, LivePlan, MadeRendition, Trouble } from './messages.ts';
import { createQualityPilot, steps } from './quality.ts';
import { createUploader } from './uploader.ts';
import type { NodeHealth, Uploader } from './uploader.ts';

interface Lane {
  readonly id: string;
  readonly kind: 'av' | 'audio';
  readonly bandwidth: number;
  readonly encoder: PictureEncoder | null;
  readonly cutter: PartCutter;
  upload: Uploader | null;
  /** Place of the newest picture that was given to the encoder. */
  place: number;
  second: number;
}

export interface Broadcast {
  /** Makes what is due now. `picture` draws it; called once for each place. */
  beat(now: number, picture: (timestamp: number, rendition: number) => VideoFrame | null): void;
  /** ms of `now` when the next picture is due. */
  next(): number;
  sound(planes: readonly Float32Array[], now: number): void;
  /** Sends to the node from the next segment on; again after `node_lost`, at another address: init segments come first then. */
  ingest(url: string): void;
  health(now: number): Health;
  end(): Promise<void>;
}

/** Pictures that may wait in an encoder: more of them and it is behind. */
const longestQueue = 4;
const hopeless = 8;

/**
 * Everything between drawn pictures, recorded sound and the node: the clock, encoders, parts, uploads, and how much quality is taken
 * back. All times are ms of one clock, whose start is the zero of the stream.
 */
export function createBroadcast(options: {
  readonly plan: LivePlan;
  readonly start: number;
  /** ms since the epoch at `start`. */
  readonly startUnix: number;
  readonly now: () => number;
  readonly onReady: (renditions: readonly MadeRendition[]) => void;
  readonly onBegan: () => void;
  readonly onTrouble: (trouble: Trouble, detail: string) => void;
}): Broadcast {
  const { plan, start, startUnix, now: clock, onReady, onBegan, onTrouble } = options;
  const { fps } = plan;
  const frameTicks = 90_000 / fps;
  const perPart = Math.max(1, Math.round(fps / 5));
  const frames = createFrameClock({ fps, perPart, start });
  const pilot = createQualityPilot();
  let url: string | null = null;
  /** First segment that is sent. */
  let firstSegment = Number.POSITIVE_INFINITY;
  let ready = false;
  let began = false;
  let ended = false;
  let failed = false;
  let node: NodeHealth = { queueMs: 0, uplink: 0, dropped: 0, viewers: 0 };
  let made = 0;
  let dropped = 0;
  let sequence = 1;
  /** How far the ends of both tracks of the newest part are apart, ms. */
  let apart = 0;
  /** The last seconds, for what is shown as happening now. */
  let lately = { at: start, due: 0, left: 0, made: 0, bytes: 0 };
  let shown = { dropped: 0, fps: 0, bitrate: 0 };

  const trouble = (what: Trouble, error: unknown): void => {
    if (failed || ended) return;
    failed = true;
    onTrouble(what, error instanceof Error ? error.message : String(error));
  };

  const sound = createSoundEncoder(plan.audioBitrate, {
    sound: (one) => {
      for (const lane of lanes) lane.cutter.sound(one);
    },
    format: checkReady,
    failed: (error) => trouble('sound_encoder_failed', error),
  });
  const line = createSoundLine({
    rate: 48_000,
    channels: 2,
    blockSize: 960,
    start,
    onBlock: (position, planes) => sound.encode(position, planes),
  });

  const lanes: Lane[] = [
    ...plan.videos.map((video): Lane => {
      const cutter = cutterOf(true, () => lane);
      const lane: Lane = {
        id: video.id,
        kind: 'av',
        bandwidth: bandwidthOf.picture(video.bitrate, plan.audioBitrate),
        encoder: createPictureEncoder(video, fps, {
          picture: (one) => cutter.picture(one),
          format: checkReady,
          failed: (error) => trouble('encoder_failed', error),
        }),
        cutter,
        upload: null,
        place: -1,
        second: -1,
      };
      return lane;
    }),
    (() => {
      const cutter = cutterOf(false, () => lane);
      const lane: Lane = {
        id: 'audio',
        kind: 'audio',
        bandwidth: bandwidthOf.sound(plan.audioBitrate),
        encoder: null,
        cutter,
        upload: null,
        place: -1,
        second: -1,
      };
      return lane;
    })(),
  ];

  function cutterOf(hasVideo: boolean, lane: () => Lane): PartCutter {
    return createPartCutter({
      hasVideo,
      hasAudio: true,
      audioRate: 48_000,
      frameTicks,
      onPart: (part) => send(lane(), part),
    });
  }

  function checkReady(): void {
    if (ready || !sound.format || lanes.some(({ encoder }) => encoder !== null && encoder.format === null))
      return;
    ready = true;
    onReady(
      lanes.map(({ id, kind, bandwidth, encoder }) => ({
        id,
        kind,
        codecs: encoder?.format ? `${encoder.format.codec},opus` : 'opus',
        ...(encoder?.format && { width: encoder.format.width, height: encoder.format.height }),
        bandwidth,
      })),
    );
  }

  function send(lane: Lane, part: CutPart): void {
    const bytes = writePart({
      sequence: sequence++,
      ...(part.video && { video: part.video }),
      ...(part.audio && { audio: part.audio }),
    });
    lately.bytes += bytes.length;
    if (lane === lanes[0] && part.video && part.audio)
      apart = endOf(part.video) / 90 - endOf(part.audio) / 48;
    if (url === null || failed) return;
    if (lane.upload === null) {
      if (!Number.isFinite(firstSegment)) firstSegment = part.segment + (part.seq % 5 === 0 ? 0 : 1);
      if (part.segment < firstSegment || !part.independent) return;
      const video = lane.encoder?.format;
      lane.upload = createUploader({
        url: `${url}/${lane.id}`,
        post,
        now: clock,
        wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
        onHealth: (health) => {
          node = health;
          if (began) return;
          began = true;
          onBegan();
        },
        onTrouble: (what, detail) => trouble(what, detail),
      });
      lane.upload.init(writeInit({ ...(video && { video }), ...(sound.format && { audio: sound.format }) }));
    }
    lane.upload.part({
      seq: part.seq,
      segment: part.segment,
      pts: part.pts,
      duration: part.duration,
      independent: part.independent,
      captured: startUnix + part.pts / 90,
      bytes,
    });
  }

  const backlog = (): number => Math.max(0, ...lanes.map(({ upload }) => upload?.backlogMs ?? 0));
  const waiting = (): number => Math.max(0, ...lanes.map(({ encoder }) => encoder?.waiting ?? 0));

  function lookBack(now: number): void {
    const seconds = (now - lately.at) / 1000;
    if (seconds < 1) return;
    shown = {
      dropped: lately.left / Math.max(1, lately.due),
      fps: lately.made / seconds,
      bitrate: (lately.bytes * 8) / seconds,
    };
    pilot.report({ dropped: shown.dropped, waitingMs: Math.max(node.queueMs, backlog()) });
    for (const { encoder } of lanes) encoder?.setRate(steps[pilot.step]!.rate);
    lately = { at: now, due: 0, left: 0, made: 0, bytes: 0 };
  }

  return {
    beat(now, picture) {
      if (ended) return;
      lookBack(now);
      const step = steps[pilot.step]!;
      const { frames: due, missed } = frames.due(now, step.every);
      // Places passed over by choice are not lost.
      const lost = step.every === 1 ? missed : 0;
      dropped += lost;
      lately.due += due.length + lost;
      lately.left += lost;
      for (const place of due) {
        let encoded = false;
        lanes.forEach((lane, n) => {
          if (lane.encoder === null) return;
          const opensPart = Math.floor(place / perPart) > Math.floor(lane.place / perPart) || lane.place < 0;
          // An encoder that is behind by a part's pictures gets none at all: what it made would come too late.
          if (lane.encoder.waiting > hopeless) return;
          // A picture that opens a part is made before others; those only while the encoder keeps up.
          if (!opensPart && lane.encoder.waiting > longestQueue) return;
          if (n > 0 && !opensPart && (place % perPart) % step.everyOther !== 0) return;
          const second = Math.floor(place / fps);
          const frame = picture(Math.round((place * 1_000_000) / fps), n);
          if (frame === null) return;
          lane.encoder.encode(frame, second !== lane.second);
          frame.close();
          lane.place = place;
          lane.second = second;
          if (n === 0) encoded = true;
        });
        if (encoded) {
          made += 1;
          lately.made += 1;
        } else {
          dropped += 1;
          lately.left += 1;
        }
      }
      line.tick(now);
    },
    next: () => frames.next(),
    sound: (planes, now) => {
      if (!ended) line.push(planes, now);
    },
    ingest(to) {
      url = to;
      firstSegment = Number.POSITIVE_INFINITY;
      began = false;
      failed = false;
      for (const lane of lanes) {
        lane.upload?.stop();
        lane.upload = null;
      }
    },
    health: (now) => ({
      runningMs: now - start,
      queueMs: (waiting() * 1000) / fps,
      made,
      dropped,
      droppedLately: shown.dropped,
      // Whichever is larger: what viewers get, or how far the sound is from the clock of the pictures.
      apartMs: Math.max(Math.abs(apart), Math.abs(line.ahead)),
      bitrate: shown.bitrate,
      fps: shown.fps,
      backlogMs: backlog(),
      nodeQueueMs: node.queueMs,
      uplink: node.uplink,
      nodeDropped: node.dropped,
      viewers: node.viewers,
      step: pilot.step,
      reason: pilot.reason,
      soundFilledMs: line.filled / 48,
    }),
    async end() {
      if (ended) return;
      ended = true;
      try {
        await Promise.all([...lanes.map(({ encoder }) => encoder?.flush()), sound.flush()]);
      } catch {
        // What an encoder can't finish any more is lost; the stream ends all the same.
      }
      for (const { encoder } of lanes) encoder?.close();
      sound.close();
      await Promise.all(lanes.map(({ upload }) => upload?.drain() ?? Promise.resolve()));
      if (url !== null && !failed) await post(`${url}/end`, new Uint8Array()).catch(() => {});
    },
  };
}

const post = (url: string, bytes: Uint8Array<ArrayBuffer>): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    body: bytes,
    credentials: 'omit',
    referrerPolicy: 'no-referrer',
    signal: AbortSignal.timeout(8000),
  });
