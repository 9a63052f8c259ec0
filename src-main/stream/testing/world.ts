import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '../../../src-shared/runtime.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import { wallClock } from '../../../src-shared/wall-clock.ts';
import {
  createSigner,
  encodeCard,
  encryptionKeyOf,
  signCard,
  signDeviceCertificate,
  tryUnwrap,
} from '../../identity/index.ts';
import { createNetwork } from '../../network/index.ts';
import type { FrameStream, Network, NodeNetwork } from '../../network/index.ts';
import { openDatabase } from '../../store/index.ts';
import type { Database } from '../../store/index.ts';
import { createStreams } from '../streams.ts';
import type { Ingest, StartOptions, Streams, StreamsDeps } from '../streams-types.ts';

/** Does something to what one node sends over links of streams. @returns frames to send instead */
export type Meddle = (frame: Uint8Array) => Promise<readonly Uint8Array[]> | readonly Uint8Array[];

export interface StreamNode {
  readonly streams: Streams;
  readonly network: NodeNetwork;
  readonly user: string;
  /** From now on. */
  meddle(how: Meddle | null): void;
  stop(): Promise<void>;
}

export interface StreamNodeOptions {
  readonly relay?: 'auto' | 'on' | 'off';
  /** Bytes a second that it says it has. */
  readonly uplink?: number | null;
  readonly without?: 'signatures' | 'backups' | 'repeaters';
  readonly log?: Logger;
  /** Of its streams; the network keeps real time. */
  readonly clock?: Clock;
  /** Where parts go that memory has no room for, and what memory may hold beside, bytes. */
  readonly folder?: string;
  readonly hotBytes?: number;
  /** What it remembers over a restart: `createMemory()`. */
  readonly memory?: NodeMemory;
}

export interface NodeMemory {
  readonly db: Database;
  readonly keeper: NonNullable<StreamsDeps['keeper']>;
}

/** What a node keeps on disk, for one that is started anew under the same name. */
export function createMemory(): NodeMemory {
  const kept = new Map<
    string,
    { state: Uint8Array; position: { seq: number; segment: number }; near: readonly string[]; at: number }
  >();
  const change = (id: string, what: Partial<NonNullable<ReturnType<typeof kept.get>>>): void => {
    const before = kept.get(id) ?? {
      state: new Uint8Array(),
      position: { seq: 0, segment: 0 },
      near: [],
      at: 0,
    };
    kept.set(id, { ...before, ...what, at: Date.now() });
  };
  return {
    db: openDatabase(':memory:'),
    keeper: {
      save: (id, state) => change(id, { state }),
      savePosition: (id, position) => change(id, { position }),
      saveNear: (id, near) => change(id, { near }),
      remove: (id) => void kept.delete(id),
      list: () => [...kept].map(([streamId, one]) => ({ streamId, ...one })),
    },
  };
}

/** A node with real sockets on a loopback address, and nothing but streams. */
export async function startStreamNode(
  name: string,
  ip: string,
  options: StreamNodeOptions = {},
): Promise<StreamNode> {
  const seed = (what: string): Uint8Array => createHash('sha256').update(`${name} ${what}`).digest();
  const root = createSigner(seed('root'));
  const device = createSigner(seed('device'));
  const certificate = signDeviceCertificate(root, { deviceKey: device.publicKey, name, issuedAt: 1 });
  const secret = seed('enc');
  const encKey = encryptionKeyOf(secret);
  const card = signCard(root, {
    number: 1,
    encKey,
    encKeyNumber: 0,
    devices: [certificate],
    revoked: [],
    time: 1,
  });
  const db = options.memory?.db ?? openDatabase(':memory:');
  const logger = options.log ?? silentLogger;
  const network = await createNetwork({
    deviceSeed: seed('device'),
    db,
    listen: [`/ip4/${ip}/tcp/0`],
    gossip: true,
    bootstrap: [],
    mdns: false,
    upnp: false,
    relay: 'off',
    ownCard: () => encodeCard(card),
    clock: wallClock,
    logger: silentLogger,
  });
  await network.start();
  let meddle: Meddle | null = null;

  function meddled(stream: FrameStream): FrameStream {
    let tail: Promise<void> = Promise.resolve();
    return {
      ...stream,
      send(frame) {
        if (!meddle) return tail.then(() => stream.send(frame));
        const bytes = frame instanceof Uint8Array ? frame : new Uint8Array(Buffer.concat(frame));
        const sent = tail.then(async () => {
          for (const one of meddle ? await meddle(bytes) : [bytes]) await stream.send(one);
        });
        tail = sent.catch(() => {});
        return sent;
      },
    };
  }
  const wrapped: Network = {
    ...network,
    open: async (peer, protocol, given, signal) => {
      const stream = await network.open(peer, protocol, given, signal);
      return protocol === 'live/1' ? meddled(stream) : stream;
    },
    handle: (protocol, given, handler) =>
      network.handle(protocol, given, (stream) => handler(protocol === 'live/1' ? meddled(stream) : stream)),
  };
  const streams = createStreams({
    network: wrapped,
    clock: options.clock ?? wallClock,
    logger,
    random: (n) => randomBytes(n),
    device,
    certificate: () => certificate,
    tryUnwrap: (box) => tryUnwrap(secret, box),
    encryptionKey: async (user, signal) =>
      user === card.user ? encKey : (await network.cards.find(user, signal)).encKey,
    relay: () => ({
      enabled: options.relay ?? 'auto',
      uplink: options.uplink === undefined ? 50_000_000 : options.uplink,
    }),
    powered: () => true,
    ...(options.folder !== undefined && { folder: options.folder }),
    ...(options.hotBytes !== undefined && { hotBytes: options.hotBytes }),
    ...(options.without && { without: options.without }),
    ...(options.memory && { keeper: options.memory.keeper }),
  });
  await streams.start();
  return {
    streams,
    network,
    user: card.user,
    meddle(how) {
      meddle = how;
    },
    async stop() {
      await streams.stop();
      await network.stop();
      if (!options.memory) db.close();
    },
  };
}

/** Bytes that look like an init segment as far as the node looks. */
export const testInit = (mark = 0): Uint8Array =>
  new Uint8Array(
    Buffer.concat([Buffer.from([0, 0, 0, 16]), Buffer.from('ftypiso6'), Buffer.from([0, 0, 0, mark])]),
  );

/** Bytes of part `seq` of a rendition, the same each time. */
export function testPayload(rendition: string, seq: number, size: number): Uint8Array {
  const bytes = Buffer.alloc(size);
  const mark = createHash('sha256').update(`${rendition} ${seq}`).digest();
  for (let at = 0; at < size; at += 32) mark.copy(bytes, at);
  return new Uint8Array(bytes);
}

export const testStart = (over: Partial<StartOptions> = {}): StartOptions => ({
  title: 'A test',
  audience: 'public',
  renditions: [
    { id: 'v', kind: 'av', codecs: 'avc1.42c01f,mp4a.40.2', width: 640, height: 360, bandwidth: 2_000_000 },
  ],
  dvrSeconds: 60,
  targetLatency: 'default',
  partMs: 100,
  fanOut: null,
  ...over,
});

/** An encoder: a part each `partMs`, five a segment, until it is stopped. */
export async function encode(
  ingest: Ingest,
  options: { readonly partMs?: number; readonly size?: number; readonly renditions?: readonly string[] } = {},
): Promise<{ stop(): Promise<number> }> {
  const { partMs = 100, size = 20_000, renditions = ['v'] } = options;
  let running = true;
  let seq = 0;
  for (const id of renditions) await ingest.init(id, testInit());
  const done = (async () => {
    const began = Date.now();
    while (running) {
      for (const id of renditions) {
        const meta = {
          pts: seq * partMs * 90,
          duration: partMs * 90,
          captured: Date.now() - partMs,
          independent: seq % 5 === 0,
          segment: Math.floor(seq / 5),
        };
        await ingest.part(id, seq, meta, testPayload(id, seq, size));
      }
      seq += 1;
      await sleep(Math.max(0, began + seq * partMs - Date.now()));
    }
  })();
  // A node that was stopped takes no more.
  done.catch(() => {});
  return {
    async stop() {
      running = false;
      await done;
      return seq;
    },
  };
}

/** A player without eyes: follows the media playlist by blocking reloads and fetches each part it names. */
export function play(node: StreamNode, streamId: string, rendition = 'v') {
  const playback = node.streams.playback(streamId);
  const parts = new Map<number, Uint8Array>();
  const gaps: number[] = [];
  const at: number[] = [];
  let running = true;
  let ended = false;
  const done = (async () => {
    let query = new URLSearchParams('low-latency');
    while (running) {
      try {
        const file = await playback.get(`${rendition}/index.m3u8`, query, AbortSignal.timeout(2_000));
        const text = Buffer.from(file.body as Uint8Array).toString();
        for (const [, seq, , rest] of text.matchAll(/URI="(\d+)\.m4s"(,INDEPENDENT=YES)?(,GAP=YES)?$/gm)) {
          const number = Number(seq);
          if (text.includes(`PRELOAD-HINT:TYPE=PART,URI="${number}.m4s"`) || parts.has(number)) continue;
          if (rest) {
            if (!gaps.includes(number)) gaps.push(number);
            continue;
          }
          const part = await playback.get(
            `${rendition}/${number}.m4s`,
            new URLSearchParams(),
            AbortSignal.timeout(2_000),
          );
          parts.set(number, part.body as Uint8Array);
          at.push(Date.now());
        }
        if (text.includes('#EXT-X-ENDLIST')) {
          ended = true;
          return;
        }
        const segments = [...text.matchAll(/^s(\d+)\.m4s$/gm)];
        const base =
          segments.length > 0
            ? Number(segments.at(-1)![1]) + 1
            : Number(/MEDIA-SEQUENCE:(\d+)/.exec(text)![1]);
        const open = text.split(/^s\d+\.m4s$/m).at(-1)!;
        const count = [...open.matchAll(/^#EXT-X-PART:/gm)].length;
        query = new URLSearchParams({ _HLS_msn: String(base), _HLS_part: String(count) });
      } catch {
        await sleep(20);
      }
    }
  })();
  return {
    parts,
    gaps,
    /** When each part was got, ms. */
    at,
    ended: () => ended,
    async stop() {
      running = false;
      playback.close();
      await done;
    },
  };
}

/** Waits until something is true. */
export async function until(what: () => boolean, ms = 30_000, why = 'it'): Promise<void> {
  const end = Date.now() + ms;
  while (!what()) {
    if (Date.now() > end) throw new Error(`${why} did not happen in ${ms} ms`);
    await sleep(20);
  }
}
