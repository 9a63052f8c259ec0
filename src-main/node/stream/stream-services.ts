import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { RelaySettings, StreamSummary } from '../../../src-shared/contract/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { NodeServices } from '../../api/index.ts';
import { createStreams, formatStreamLink, posterTypeOf } from '../../stream/index.ts';
import type { Streams } from '../../stream/index.ts';
import type { Online } from '../core.ts';
import type { Drives } from '../drives.ts';
import { createEncoderService } from './encoder/encoder-door.ts';
import type { EncoderService } from './encoder/encoder-door.ts';
import { createOwnStreamKeeper } from './own-streams.ts';
import { beginRecording, recoverRecordings } from './recordings.ts';
import type { Recording } from './recordings.ts';
import { createRecordingRecords } from './recording-records.ts';
import type { RecordedStream, RecordingRecords } from './recording-records.ts';
import { createStreamRecords } from './stream-records.ts';
import type { StreamRecords } from './stream-records.ts';
import { activityWords } from '../activity-words.ts';

/** Going live takes no longer, ms. */
const startMs = 20_000;

/** The streams of a node, with what it remembers of them and where it records. */
export interface NodeStreams {
  readonly streams: Streams;
  readonly records: StreamRecords;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Ends interrupted recordings of the drives that are open. */
  recover(): Promise<void>;
  /** Own streams that were recorded. */
  readonly recorded: RecordingRecords;
  /** Other programs on this computer that send. */
  readonly encoder: EncoderService;
  noteRecording(stream: Omit<RecordedStream, 'poster'>, recording: Recording): void;
  /** Is it being recorded by this process? */
  isRecording(streamId: string): boolean;
}

export function createNodeStreams(node: Online, drives: () => Drives): NodeStreams {
  const { network, identity, clock, logger, random, settings, events, activity } = node;
  const records = createStreamRecords(node.db);
  const recorded = createRecordingRecords(node.db);
  const recording = new Set<string>();
  const finishing = new Set<Promise<void>>();
  const streams = createStreams({
    network,
    clock,
    logger,
    random,
    device: identity.deviceSigner,
    certificate: () => identity.certificate(),
    tryUnwrap: (box) => identity.tryUnwrap(box),
    async encryptionKey(user, signal) {
      if (user === identity.userId()) return identity.card().encKey;
      return (network.cards.get(user) ?? (await network.cards.find(user, signal))).encKey;
    },
    relay: () => ({ enabled: settings.get('streams.relay'), uplink: settings.get('streams.uplink') }),
    powered: onMains,
    followed: () => records.following(),
    folder: path.join(node.dataDir, 'streams'),
    keeper: createOwnStreamKeeper(node.db, { clock, random, secret: identity.deviceSecret('own streams') }),
  });
  const encoder = createEncoderService({ clock, logger, changed: () => events.emit('streams', {}) });
  const off = [
    streams.on('changed', () => events.emit('streams', {})),
    streams.on('receipt', ({ receipt }) => records.addReceipt(receipt)),
    streams.on('live', ({ announcement: { genesis, title } }) => {
      if (!records.following().includes(genesis.user)) return;
      events.emit(
        'activity',
        activity.add({ kind: 'live', userId: genesis.user, ...activityWords.live(title) }),
      );
    }),
  ];
  return {
    streams,
    records,
    start: () => streams.start(),
    async stop() {
      await encoder.close();
      await streams.stop();
      for (const end of off) end();
      await Promise.all(finishing);
    },
    async recover() {
      for (const { record } of drives().list()) {
        const live = new Set([...recording].map((id) => id.slice(0, 8)));
        for (const file of await recoverRecordings(record.folder, live, logger)) {
          events.emit(
            'activity',
            activity.add({
              kind: 'added',
              driveId: record.driveId,
              path: file,
              ...activityWords.recordingFinished(file),
            }),
          );
        }
      }
    },
    recorded,
    encoder,
    isRecording: (streamId) => recording.has(streamId),
    noteRecording(stream, into) {
      const { streamId, driveId } = stream;
      recorded.put(stream);
      recording.add(streamId);
      const ended = streams.ingest(streamId).ended.then(async () => {
        const file = await into.finish();
        recording.delete(streamId);
        const problem = into.problem();
        if (problem)
          events.emit(
            'activity',
            activity.add({ kind: 'problem', driveId, ...activityWords.failure(problem) }),
          );
        if (file === null) recorded.remove(streamId);
        else recorded.put({ ...stream, path: path.basename(file) });
        events.emit('streams', {});
      });
      finishing.add(ended);
      void ended.finally(() => finishing.delete(ended));
    },
  };
}

/** The `streams` group of the contract. */
export function createStreamServices(
  online: () => Online,
  drives: () => Drives,
  own: () => NodeStreams,
): Pick<NodeServices, 'streams'> {
  const ok = { ok: true } as const;

  function relaySettings(): RelaySettings {
    const { settings } = online();
    return { enabled: settings.get('streams.relay'), uplink: settings.get('streams.uplink') };
  }

  async function start(
    input: Parameters<NodeServices['streams']['start']>[0],
    signal: AbortSignal,
  ): ReturnType<NodeServices['streams']['start']> {
    const { clock } = online();
    const drive = input.record === null ? null : drives().get(input.record);
    let recording: Recording | null = null;
    const { streamId, link } = await own().streams.begin(
      {
        title: input.title,
        poster: input.poster === null ? null : new Uint8Array(Buffer.from(input.poster, 'base64')),
        audience: input.audience,
        renditions: input.renditions,
        dvrSeconds: input.dvrSeconds,
        targetLatency: input.targetLatency,
        partMs: input.partMs,
        fanOut: input.fanout,
        outlives: input.outlives,
        record: drive && {
          init: (bytes) => recording?.init(bytes),
          part: (bytes) => recording?.part(bytes),
        },
      },
      signal,
    );
    if (drive) {
      try {
        const { title, renditions } = input;
        recording = await beginRecording(
          drive.record.folder,
          { title, kind: renditions[0]!.kind, streamId, started: clock.now() },
          clock,
        );
      } catch (error) {
        await own().streams.end(streamId);
        throw error instanceof AppError
          ? error
          : new AppError(
              'permission_denied',
              `The drive can't be recorded into: ${(error as Error).message}.`,
            );
      }
      own().noteRecording(
        {
          streamId,
          title: input.title,
          audience: typeof input.audience === 'string' ? input.audience : 'private',
          startedAt: clock.now(),
          driveId: drive.record.driveId,
          path: recording.name,
        },
        recording,
      );
      if (input.poster !== null)
        own().recorded.setPoster(streamId, new Uint8Array(Buffer.from(input.poster, 'base64')));
    }
    return { streamId, link };
  }

  return {
    streams: {
      start,
      async resume({ stream }) {
        const { streams, recorded, isRecording, noteRecording } = own();
        const found = streams.resume(stream);
        const before = recorded.get(found.streamId);
        // Where its last recording was cut off, another one begins.
        if (before && !isRecording(found.streamId)) {
          const { clock, logger } = online();
          try {
            const { folder } = drives().get(before.driveId).record;
            const [rendition] = streams.list().find((one) => one.streamId === found.streamId)!.renditions;
            const { streamId, title } = before;
            const what = { title, kind: rendition!.kind, streamId, started: clock.now() };
            const recording = await beginRecording(folder, what, clock);
            streams.record(streamId, recording);
            noteRecording({ ...before, path: recording.name }, recording);
          } catch (error) {
            // The stream is worth more than its recording.
            logger.warn({ err: error }, 'a stream that goes on is not recorded any more');
          }
        }
        return found;
      },
      encoder: () => own().encoder.state(),
      encoderOpen({ port, ...input }) {
        return own().encoder.open(port, async ({ width, height, ...rendition }) => {
          const size = { ...(width !== undefined && { width }), ...(height !== undefined && { height }) };
          const found = await start(
            {
              ...input,
              renditions: [{ ...rendition, ...size }],
              dvrSeconds: 1800,
              partMs: 200,
              fanout: null,
              // The program comes back by itself, but not to a node that no longer waits for it.
              outlives: false,
            },
            AbortSignal.timeout(startMs),
          );
          return { ...found, ingest: own().streams.ingest(found.streamId) };
        });
      },
      encoderClose: () => own().encoder.close(),
      async stop({ stream }) {
        await own().streams.end(stream);
        return ok;
      },
      async invite({ stream, add, remove }, signal) {
        return { users: [...(await own().streams.invite(stream, { add, remove }, signal))] };
      },
      list() {
        const { streams, records, recorded } = own();
        const followed = new Set(records.following());
        const past = new Map(recorded.list().map((one) => [one.streamId, one]));
        const known = streams.list().map(({ user, startedAt, ...one }) => {
          const found = past.get(one.streamId);
          past.delete(one.streamId);
          return {
            ...one,
            renditions: [...one.renditions],
            userId: user,
            followed: user !== null && followed.has(user),
            startedAt: new Date(startedAt).toISOString(),
            recording: found ? { driveId: found.driveId, path: found.path } : null,
          };
        });
        const { identity } = online();
        return [...known, ...[...past.values()].map((one) => pageOf(one, identity.userId()))];
      },
      async watch({ stream }, signal) {
        return { streamId: await own().streams.watch(stream, signal) };
      },
      async poster({ stream }, signal) {
        const { streams, recorded } = own();
        const past = recorded.poster(streamIdOf(stream));
        const bytes = past ?? (await streams.poster(stream, signal));
        const type = bytes && posterTypeOf(bytes);
        return bytes && type ? { bytes, type } : null;
      },
      async leave({ stream }) {
        await own().streams.leave(stream);
        return ok;
      },
      stats({ stream }) {
        const stats = own().streams.stats(stream);
        return {
          ...stats,
          streamId: streamIdOf(stream),
          backups: [...stats.backups],
          children: [...stats.children],
          branches: stats.branches.map((one) => ({ ...one })),
          arriving: [...stats.arriving],
          longestPauseMs: Math.round(stats.longestPauseMs),
        };
      },
      relay({ enabled, uplink }) {
        const { settings } = online();
        if (enabled !== undefined) settings.write('streams.relay', enabled);
        if (uplink !== undefined) settings.write('streams.uplink', uplink);
        own().streams.relayChanged();
        return relaySettings();
      },
      follow({ user, on }) {
        own().records.follow(user, on);
        online().events.emit('streams', {});
        return { users: own().records.following() };
      },
      following: () => ({ users: own().records.following() }),
      ingest: (streamId) => own().streams.ingest(streamId),
      playback: (streamId) => own().streams.playback(streamId),
    },
  };
}

/** What a list shows of an own stream that is over and was recorded. */
const pageOf = (
  { streamId, title, audience, startedAt, driveId, path, poster }: RecordedStream,
  userId: string | null,
): StreamSummary => ({
  streamId,
  title,
  userId,
  link: formatStreamLink({ streamId, addresses: [], key: null }),
  audience,
  state: 'ended',
  away: false,
  poster,
  own: true,
  watching: false,
  followed: false,
  startedAt: new Date(startedAt).toISOString(),
  viewers: 0,
  renditions: [],
  targetLatency: 'default',
  dvrSeconds: 0,
  recording: { driveId, path },
});

/** The id in an id or a link. */
const streamIdOf = (text: string): string => /[0-9a-f]{64}/.exec(text)?.[0] ?? text;

/** False only where Linux says that this computer runs on its battery. */
function onMains(): boolean {
  const supplies = '/sys/class/power_supply';
  try {
    return !readdirSync(supplies).some(
      (one) => readFileSync(path.join(supplies, one, 'status'), 'utf8').trim() === 'Discharging',
    );
  } catch {
    return true;
  }
}
