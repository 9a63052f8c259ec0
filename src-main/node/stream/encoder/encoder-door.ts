import type { EncoderDoor } from '../../../../src-shared/contract/index.ts';
import { AppError } from '../../../../src-shared/errors.ts';
import type { Feed } from '../../../../src-shared/media/index.ts';
import type { Clock, Logger } from '../../../../src-shared/runtime.ts';
import type { Ingest } from '../../../stream/index.ts';
import type { RtmpFeed } from './rtmp-feed.ts';

/** The parser of RTMP is loaded by who uses it. @see openRtmpFeed */
export async function openRtmp(port: number): Promise<RtmpFeed> {
  const { openRtmpFeed } = await import('./rtmp-feed.ts');
  return openRtmpFeed(port);
}

/** A place on loopback where another program, such as OBS, sends one stream. */
export interface EncoderService {
  state(): EncoderDoor;
  /**
   * Waits for the program.
   * @param begin goes live when it sends
   * @throws AppError `already_exists` while another one is waited for or sends, or when the port is taken
   */
  open(port: number, begin: (rendition: Feed['rendition']) => Promise<Begun>): Promise<EncoderDoor>;
  /** Waits no more, and ends what the program sends. */
  close(): Promise<EncoderDoor>;
}

export interface Begun {
  readonly streamId: string;
  readonly link: string;
  readonly ingest: Ingest;
}

const off: EncoderDoor = {
  state: 'off',
  server: null,
  key: null,
  streamId: null,
  link: null,
  problem: null,
};

/** @param deps.changed `state()` answers otherwise */
export function createEncoderService(deps: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly changed: () => void;
}): EncoderService {
  const { clock, logger } = deps;
  let door = off;
  let current: { readonly rtmp: RtmpFeed; readonly done: Promise<void> } | null = null;
  let opening = false;

  function become(next: EncoderDoor): void {
    door = next;
    deps.changed();
  }

  /** @returns why it ended, when it was not by the program or by `close` */
  async function run(
    rtmp: RtmpFeed,
    begin: (rendition: Feed['rendition']) => Promise<Begun>,
  ): Promise<string | null> {
    let ingest: Ingest | null = null;
    try {
      const feed = await rtmp.feed;
      const begun = await begin(feed.rendition);
      ({ ingest } = begun);
      // Ended from the window or the command line: the program is sent away.
      void ingest.ended.then(() => rtmp.close());
      become({ ...door, state: 'live', streamId: begun.streamId, link: begun.link });
      for await (const item of feed.items) {
        if (item.t === 'init') await ingest.init(feed.rendition.id, item.bytes);
        else {
          const { seq, segment, pts, duration, independent, bytes } = item.part;
          const meta = { pts, duration, segment, independent, captured: clock.now() - duration / 90 };
          await ingest.part(feed.rendition.id, seq, { ...meta, captured: Math.round(meta.captured) }, bytes);
        }
      }
      return null;
    } catch (error) {
      const isEnd = error instanceof AppError && ['cancelled', 'stream_ended'].includes(error.code);
      if (!isEnd) logger.warn({ err: error }, 'a stream of another program has ended');
      return isEnd ? null : error instanceof Error ? error.message : String(error);
    } finally {
      rtmp.close();
      await ingest?.end();
    }
  }

  return {
    state: () => door,
    async open(port, begin) {
      if (current || opening)
        throw new AppError('already_exists', 'Another program is waited for already, or sends.');
      opening = true;
      try {
        const rtmp = await openRtmp(port);
        const done = run(rtmp, begin).then((problem) => {
          current = null;
          become({ ...off, problem });
        });
        current = { rtmp, done };
        become({ ...off, state: 'waiting', server: rtmp.server, key: rtmp.key });
        return door;
      } finally {
        opening = false;
      }
    },
    async close() {
      const closing = current;
      closing?.rtmp.close();
      await closing?.done;
      return door;
    },
  };
}
