import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import { createSigner, wrapFor } from '../identity/index.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import {
  cleanTitle,
  encodeProgramme,
  makeAnnouncement,
  makeAudience,
  makeDescription,
  makeGenesis,
  makeKeyRecord,
  readAudience,
  readKeyRecord,
} from './codec/records.ts';
import { sha256 } from './codec/header.ts';
import { checkPoster } from './codec/poster.ts';
import type { DescribedState, Genesis, StreamAnnouncement } from './codec/records.ts';
import { createSession } from './live/session.ts';
import type { Session, SessionDeps } from './live/session-types.ts';
import { encodeOwnState } from './own-state.ts';
import type { OwnState, StreamPosition } from './own-state.ts';
import { createPackager } from './packager.ts';
import type { AudienceChange, Ingest, StartOptions, StreamsDeps } from './streams-types.ts';
import { limits } from './types.ts';
import type { AudienceKind, StreamId } from './types.ts';

/** Parts of encrypted streams get another key so often, ms. */
const keyEvery = 60_000;

/** A stream that is sent from this computer: its keys, its records and what the encoder hands in. */
export interface OwnStream {
  readonly session: Session;
  readonly genesis: Genesis;
  readonly title: string;
  readonly options: StartOptions;
  readonly ingest: Ingest;
  /** The key that a link carries; null where none does. */
  readonly linkKey: Uint8Array | null;
  /** Tells of it for the first time. */
  start(): void;
  /** When the encoder was last heard, ms of the steady clock. */
  heardAt(): number;
  /** @see Streams.invite */
  invite(change: AudienceChange, signal: AbortSignal): Promise<readonly UserId[]>;
  stop(): Promise<void>;
  /** Says that it is away, and takes no more: the next start goes on with it. */
  suspend(): void;
  /** Who gets it from this computer, to go to them after a restart. */
  remember(peers: readonly DeviceId[]): void;
  /** Nothing has come from the encoder for a while: who watches is told. The next part ends that. */
  away(): void;
  /** Says again that it is live. */
  announce(): void;
  /** Who is told of runs and parts from now on, see `StartOptions.record`. */
  record(to: StartOptions['record']): void;
}

/** Where what a stream needs to outlive a restart is kept. */
export interface OwnStreamKeeper {
  /** What changes rarely, secrets among it. */
  save(streamId: StreamId, state: Uint8Array): void;
  /** Written every second or so. What has gone out lies before it. */
  savePosition(streamId: StreamId, position: StreamPosition): void;
  /** Who got it from this computer last. */
  saveNear(streamId: StreamId, peers: readonly DeviceId[]): void;
  remove(streamId: StreamId): void;
}

export interface OwnStreamDeps extends Pick<
  StreamsDeps,
  'clock' | 'random' | 'device' | 'certificate' | 'encryptionKey'
> {
  readonly steady: Clock;
  readonly sessionDeps: () => SessionDeps;
  readonly announce: (announcement: StreamAnnouncement) => void;
  /** Asks those this node is connected to to pass on a stream that they can't read. */
  readonly askForHelp: (streamId: StreamId) => void;
  readonly addresses: () => readonly string[];
  readonly changed: () => void;
  readonly keeper: OwnStreamKeeper | null;
}

/** Numbers that are set aside ahead of what is sent: after a crash the stream goes on behind them, so that none comes twice. */
const reservedParts = 64;
const reservedSegments = 2;
/** A jump of so many parts is a new beginning for everybody, and no hole that is waited for. */
const restartJump = 65;
const mostKeys = 64;

/**
 * @param before what is left of a stream that an earlier start sent: it goes on, with a new run
 * @throws AppError `invalid_argument`, `too_many`, `user_unknown` */
export async function beginOwnStream(
  deps: OwnStreamDeps,
  options: StartOptions,
  signal: AbortSignal,
  before: { readonly state: OwnState; readonly position: StreamPosition } | null = null,
): Promise<OwnStream> {
  const { clock, random, steady, keeper } = deps;
  const title = checkedTitle(options);
  const poster = options.poster ?? null;
  if (poster) checkPoster(poster);
  const kind: AudienceKind = typeof options.audience === 'string' ? options.audience : 'private';
  const secret = before?.state.secret ?? random(32);
  const signer = createSigner(secret);
  const genesis =
    before?.state.genesis ??
    makeGenesis(deps.device, deps.certificate(), {
      audience: kind,
      streamKey: signer.publicKey,
      startedAt: clock.now(),
    });
  const { streamId } = genesis;
  const isEncrypted = kind !== 'public';
  const session = createSession(deps.sessionDeps(), streamId, {
    genesis,
    fanOut: options.fanOut,
    resumed: before !== null,
  });
  const ended = Promise.withResolvers<void>();
  let users: readonly UserId[] = before?.state.users ?? [];
  let audiences = before?.state.audiences ?? 0;
  let audience: Uint8Array | null = before?.state.audience ?? null;
  let keyRecords: readonly Uint8Array[] = before?.state.keys ?? [];
  let inviting: Promise<unknown> = Promise.resolve();
  let number = before?.state.number ?? 0;
  let epoch = before?.state.epoch ?? 0;
  let reserved: StreamPosition = before?.position ?? { seq: 0, segment: 0 };
  let record = options.record;
  let linkKey: Uint8Array | null = before?.state.linkKey ?? null;
  let keyedAt = 0;
  let keyedRun = -1;
  let heardAt = steady.now();
  let near: readonly DeviceId[] = [];
  let over = false;
  // After a restart nothing is there before the encoder is.
  let isAway = before !== null;

  /** A new audience key for these users and the own one. The old one opens nothing that is sent from the next key on. */
  async function addressTo(wanted: readonly UserId[], until: AbortSignal): Promise<void> {
    const all = new Set([...wanted, genesis.user]);
    if (all.size > limits.viewers) throw new AppError('too_many', 'A stream is for at most 1,000 people.');
    const key = random(32);
    const boxes: Uint8Array[] = [];
    for (const user of all) {
      boxes.push(wrapFor(await deps.encryptionKey(user, until), key, random));
      // A tenth of a millisecond each: others get their turn.
      if (boxes.length % 32 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    if (over) throw endedError();
    users = [...all].filter((user) => user !== genesis.user);
    audiences += 1;
    session.keys.setAudienceKey(key);
    const made = makeAudience(signer, { streamId, number: audiences, boxes });
    audience = made.bytes;
    save();
    session.publishAudience(made);
  }

  /** Before what it says goes out: after a crash nothing may be signed twice. */
  function save(): void {
    if (over || !keeper) return;
    const state: OwnState = {
      secret,
      genesis,
      title,
      poster,
      renditions: options.renditions,
      dvrSeconds: options.dvrSeconds,
      targetLatency: options.targetLatency,
      partMs: options.partMs,
      fanOut: options.fanOut,
      outlives: options.outlives === true,
      linkKey,
      audienceKey: session.keys.audienceKey(),
      users,
      audiences,
      audience,
      keys: keyRecords,
      number,
      epoch,
      runs: packager.runs(),
    };
    keeper.save(streamId, encodeOwnState(state));
  }

  /** Sets numbers aside when the next part needs one that is not. */
  function reserve(seq: number, segment: number): void {
    if (!keeper || (seq < reserved.seq && segment < reserved.segment)) return;
    reserved = { seq: seq + reservedParts, segment: segment + reservedSegments };
    keeper.savePosition(streamId, reserved);
  }

  function describe(state: DescribedState = isAway ? 'away' : 'live'): void {
    number += 1;
    save();
    const plain = encodeProgramme({ title, poster, renditions: options.renditions, runs: packager.runs() });
    session.describe(
      makeDescription(signer, {
        streamId,
        number,
        state,
        last: Math.max(0, packager.last()),
        partMs: options.partMs,
        targetLatency: options.targetLatency,
        dvrSeconds: options.dvrSeconds,
        ladder: options.renditions.map(({ kind: each, bandwidth }) => ({ kind: each, bandwidth })),
        programme: isEncrypted ? session.keys.sealProgramme(number, plain) : plain,
      }),
    );
  }

  function rotate(): void {
    if (!isEncrypted) return;
    epoch += 1;
    keyedAt = steady.now();
    const made = makeKeyRecord(signer, { streamId, epoch, sealed: session.keys.makeEpoch(epoch) });
    keyRecords = [...keyRecords, made.bytes].slice(-mostKeys);
    save();
    session.publishKey(made);
  }

  function announce(): void {
    if (kind !== 'public') return;
    deps.announce(
      makeAnnouncement(signer, {
        genesis,
        time: clock.now(),
        state: over ? 'ended' : 'live',
        title,
        poster: poster && sha256(poster),
        renditions: options.renditions,
        targetLatency: options.targetLatency,
        dvrSeconds: options.dvrSeconds,
        viewers: session.stats().viewers,
        addresses: deps.addresses(),
      }),
    );
  }

  const packager = createPackager({
    stream: streamId,
    signer,
    renditions: options.renditions,
    keys: isEncrypted ? session.keys : null,
    epoch: () => epoch,
    runBegan(run) {
      if (run.run !== keyedRun) {
        keyedRun = run.run;
        rotate();
      }
      const init = run.inits[0];
      if (init) record?.init(init);
      isAway = false;
      describe();
    },
    reserve,
    ...(before && {
      from: {
        run: (before.state.runs.at(-1)?.run ?? -1) + 1,
        seq: before.position.seq + restartJump,
        segment: before.position.segment,
        runs: before.state.runs,
      },
    }),
  });

  async function stop(): Promise<void> {
    if (over) return;
    keeper?.remove(streamId);
    over = true;
    describe('ended');
    announce();
    ended.resolve();
    deps.changed();
  }

  const ingest: Ingest = {
    async init(rendition, bytes) {
      if (over) throw endedError();
      heardAt = steady.now();
      packager.init(rendition, bytes);
    },
    async part(rendition, seq, meta, bytes) {
      if (over) throw endedError();
      if (isEncrypted && steady.now() - keyedAt > keyEvery && epoch > 0) rotate();
      heardAt = steady.now();
      const made = packager.part(rendition, seq, meta, bytes);
      if (isAway) {
        isAway = false;
        describe();
      }
      session.publish(made);
      if (made.header.rendition === 0) record?.part(bytes);
    },
    end: stop,
    health: () => ({ ...session.health(), viewers: session.stats().viewers }),
    ended: ended.promise,
  };

  if (before) {
    const { audienceKey } = before.state;
    if (audienceKey) session.keys.setAudienceKey(audienceKey);
    if (audience) session.publishAudience(readAudience(audience, genesis));
    for (const one of keyRecords) session.publishKey(readKeyRecord(one, genesis));
  } else if (typeof options.audience !== 'string') await addressTo(options.audience, signal);
  else if (kind === 'unlisted') session.keys.setAudienceKey((linkKey = random(32)));

  return {
    session,
    genesis,
    title,
    options,
    ingest,
    linkKey,
    start() {
      describe();
      announce();
      if (isEncrypted) deps.askForHelp(streamId);
    },
    heardAt: () => heardAt,
    async invite(change, until) {
      if (kind !== 'private')
        throw new AppError('not_allowed', 'Who may watch can be changed only for a stream for named people.');
      // One change after another: each begins from what the one before it left.
      const changing = inviting.then(async () => {
        if (over) throw endedError();
        const removed = new Set(change.remove);
        const wanted = [...new Set([...users, ...change.add])].filter((user) => !removed.has(user));
        if (wanted.length === users.length && wanted.every((user) => users.includes(user))) return;
        await addressTo(wanted, until);
        // Before anybody is sent another part; the programme opens for who has come new.
        if (epoch > 0) rotate();
        describe();
        deps.changed();
      });
      inviting = changing.catch(() => {});
      await changing;
      return users;
    },
    stop,
    suspend() {
      if (over) return;
      isAway = true;
      describe();
      over = true;
      ended.resolve();
    },
    away() {
      // A pipe may have nothing to say, and who waits for viewers has not begun.
      if (over || isAway || packager.last() < 0 || options.renditions[0]?.kind === 'data') return;
      isAway = true;
      describe();
    },
    announce,
    remember(peers) {
      const same = peers.length === near.length && peers.every((peer) => near.includes(peer));
      // Nobody: they will be back, or have left and are not worth going to.
      if (over || same || peers.length === 0) return;
      near = peers;
      keeper?.saveNear(streamId, peers);
    },
    record(to) {
      record = to;
    },
  };
}

function checkedTitle(options: StartOptions): string {
  if (new Set(options.renditions.map((one) => one.id)).size !== options.renditions.length)
    throw new AppError('invalid_argument', 'Two renditions have one name.');
  const kinds = new Set(options.renditions.map((one) => one.kind === 'data'));
  if (kinds.size > 1) throw new AppError('invalid_argument', 'Data goes alone, without sound or pictures.');
  const title = cleanTitle(options.title);
  if (title === '' || Buffer.byteLength(title) > limits.titleBytes)
    throw new AppError('invalid_argument', 'A stream needs a title, and one that is not too long.');
  return title;
}

const endedError = (): AppError => new AppError('stream_ended', 'This stream has ended.');
