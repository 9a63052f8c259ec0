import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import Rtmp from 'node-media-server/src/protocol/rtmp.js';
import { parseH264Sps } from 'node-media-server/src/protocol/sps_info.js';
import { AppError } from '../../../../src-shared/errors.ts';
import type { Feed, FeedItem } from '../../../../src-shared/media/index.ts';
import { createFlvCutter } from './flv-cutter.ts';

export interface RtmpFeed {
  /** What the encoder is told: OBS calls them server and stream key. */
  readonly server: string;
  readonly key: string;
  /** Resolves when an encoder has begun. Rejects with `unsupported` for one that sends other things than H.264 and AAC. */
  readonly feed: Promise<Feed>;
  close(): void;
}

/** Who has not given the key may send so much, bytes, and announce messages of so much; so long; and so many of them at once. */
const greeting = 64 * 1024;
const greetingMs = 5_000;
const mostStrangers = 4;
/** First byte of RTMP. */
const version = 3;
/** Parts that may wait. */
const mostWaiting = 200;

/**
 * Waits on loopback for OBS or another encoder that speaks RTMP. What it sends is repacked, not encoded again. One encoder at a time;
 * when it goes, the feed ends.
 * @param port 0: any free one
 * @param patience ms until whoever has not given the key is sent away
 */
export async function openRtmpFeed(port: number, patience = greetingMs): Promise<RtmpFeed> {
  const key = randomBytes(16).toString('hex');
  const feed = Promise.withResolvers<Feed>();
  feed.promise.catch(() => {});
  const waiting: FeedItem[] = [];
  const sockets = new Set<Socket>();
  let wake = (): void => {};
  let ended = false;
  let failure: unknown = null;
  let publisher: Socket | null = null;

  async function* items(): AsyncGenerator<FeedItem> {
    for (;;) {
      const item = waiting.shift();
      if (item) {
        if (waiting.length < mostWaiting / 2) publisher?.resume();
        yield item;
      } else if (ended) {
        if (failure !== null) throw failure;
        return;
      } else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  function finish(error: unknown): void {
    if (ended) return;
    ended = true;
    failure = error;
    server.close();
    for (const socket of sockets) socket.destroy();
    feed.reject(error ?? new AppError('cancelled', 'No encoder has come.'));
    wake();
  }

  function talk(socket: Socket): void {
    sockets.add(socket);
    // The longest there goes: an encoder with the key needs a moment only.
    const strangers = [...sockets].filter((one) => one !== publisher);
    if (strangers.length > mostStrangers) strangers[0]!.destroy();
    const sendAway = setTimeout(() => {
      if (publisher !== socket) socket.destroy();
    }, patience);
    const rtmp = new Rtmp();
    const allocate = rtmp.packetAlloc.bind(rtmp);
    // It would say yes before the key is looked at, and an encoder with a wrong one take what it sent for received.
    const welcome = rtmp.respondPublish.bind(rtmp);
    rtmp.respondPublish = () => {};
    let received = 0;
    let announced = 0;
    rtmp.packetAlloc = () => {
      // The parser takes memory for all of a message when its length is said, for each of 65,536 chunk streams.
      if (publisher !== socket && (announced += rtmp.parserPacket.header.length) > greeting)
        throw new AppError('too_large', 'A message without the key is too long.');
      allocate();
    };
    const cutter = createFlvCutter({
      sizeOf: (sps) => parseH264Sps(Buffer.from(sps)),
      onItem(item) {
        waiting.push(item);
        if (waiting.length > mostWaiting) socket.pause();
        wake();
        const { formats } = cutter;
        if (item.t === 'init' || !formats) return;
        const { video, audio } = formats;
        const codecs = audio ? `${video.codec},${audio.codec}` : video.codec;
        const { width, height } = video;
        // What an encoder will send is not known before: as much as such a picture is usually given.
        const bandwidth = Math.max(1_000_000, Math.round(width * height * 6));
        feed.resolve({
          rendition: { id: 'v', kind: 'av', codecs, width, height, bandwidth },
          paced: false,
          live: true,
          items: items(),
        });
      },
    });
    rtmp.onOutputCallback = (bytes) => void socket.write(bytes);
    rtmp.onConnectCallback = ({ name }) => {
      const given = Buffer.from(name);
      const right = given.length === key.length && timingSafeEqual(given, Buffer.from(key));
      if (!right || publisher !== null) return void socket.destroy();
      publisher = socket;
      welcome();
    };
    rtmp.onPlayCallback = () => void socket.destroy();
    rtmp.onPacketCallback = ({ codec_type: type, dts, size, data }) => {
      if (publisher !== socket || (type !== 8 && type !== 9)) return;
      cutter.push({ kind: type === 8 ? 'audio' : 'video', time: dts, data: data.subarray(0, size) });
    };
    socket.on('data', (bytes) => {
      if (received === 0 && bytes[0] !== version) return void socket.destroy();
      received += bytes.length;
      if (publisher !== socket && received > greeting) return void socket.destroy();
      try {
        if (rtmp.parserData(bytes) !== null) socket.destroy();
      } catch (error) {
        if (publisher === socket && error instanceof AppError) finish(error);
        else socket.destroy();
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(sendAway);
      sockets.delete(socket);
      if (publisher !== socket || ended) return;
      cutter.end();
      finish(null);
    });
  }

  const server: Server = createServer(talk);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  }).catch((cause: unknown) => {
    throw new AppError('already_exists', `Port ${port} is used by another program.`, { cause });
  });
  const address = server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return { server: `rtmp://127.0.0.1:${bound}/live`, key, feed: feed.promise, close: () => finish(null) };
}
