import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { createSteadyClock } from '../../../src-shared/steady-clock.ts';
import { createChainCheck } from '../chain-check.ts';
import { readReceipt } from '../codec/records.ts';
import type { Description, Genesis } from '../codec/records.ts';
import { createHlsOrigin } from '../hls/origin.ts';
import type { HlsOrigin } from '../hls/origin.ts';
import type { PartRing } from '../part-ring.ts';
import { createPartWindow, payloadOf } from '../part-window.ts';
import type { PartEntry, PartWindow } from '../part-window.ts';
import { limits } from '../types.ts';
import type { PartNote, SignedHeader, StreamId } from '../types.ts';
import { createWaiters } from '../waiters.ts';
import type { LiveFrame } from './frames.ts';
import { createIntake } from './intake.ts';
import type { Intake } from './intake.ts';
import { createKnowledge } from './knowledge.ts';
import { createLinks } from './links.ts';
import { createOverlay, decodeMessage, encodeMessage } from './overlay-driver.ts';
import type { Conditions, Effect, Overlay, OverlayEvent, Peer } from './overlay-driver.ts';
import type { Contact, Session, SessionDeps } from './session-types.ts';
import { openStreamRing } from './stream-ring.ts';
import { createTally } from './tally.ts';

/** A timer that is so late was held up by other work. */
const heldUpMs = 60;
/** Parts of data from before its coming that a node asks for. */
const mostFetched = 1000;
/** Children are handed over before this node goes; a program that stops has 4.5 s for everything. */
const leaveMs = 1_500;
/** Parts that are still on their way when a stream ends get so long. */
const endMs = 3_000;
/** What was said last goes out within. */
const lastWordMs = 200;
/** What the ring keeps beyond the promised window, s. */
const ringMarginSeconds = 60;
/** A link that was opened for old parts only is closed when none was asked for so long, ms. */
const fetchedIdleMs = 30_000;
/** Parts further behind the newest are of long ago: as the overlay sees it. */
const oldParts = 64;
const tellEvery = 1_000;

/** @param own set at the source: the genesis, and what only the source may say */
export function createSession(
  deps: SessionDeps,
  streamId: StreamId,
  own: {
    readonly genesis: Genesis;
    readonly fanOut: number | null;
    /** It goes on with what an earlier start left on disk. */
    readonly resumed?: boolean;
  } | null,
): Session {
  const { logger, network } = deps;
  /** For everything that waits; capture times and receipts are in the time of day. */
  const clock = createSteadyClock(deps.clock);
  let window: PartWindow | null = null;
  let origin: HlsOrigin | null = null;
  let overlay: Overlay | null = null;
  let intake: Intake | null = null;
  let ring: PartRing | null = null;
  let ringAsked = false;
  let contacts: Contact[] = [];
  const waiters = createWaiters();
  const viewersOf = new Map<Peer, number>();
  const droppedOf = new Map<Peer, number>();
  const tally = createTally(deps, streamId, clock);
  const arrived = new Map<number, number>();
  let refusal: AppError | null = null;
  let watched: readonly number[] = [0];
  /** Somebody here watches, or has watched. */
  let isWatched = false;
  /** When peers were last asked for parts. */
  const pulledAt = new Map<Peer, number>();
  let players = 0;
  let stopping = false;
  let ended = false;
  let dropped = 0;
  let ingested = 0;
  let latencyMs: number | null = null;
  let switches = -1;
  let longestPauseMs = 0;
  let run = 0;
  let heardAt = clock.now();
  let left: (() => void) | null = null;
  let cancelWake = (): void => {};
  let cancelTell = (): void => {};
  let probed = false;

  const knowledge = createKnowledge(
    { streamId, logger, random: deps.random, tryUnwrap: deps.tryUnwrap },
    own?.genesis ?? null,
    {
      described,
      programme(programme) {
        origin?.programme(programme);
        run = programme.runs.at(-1)?.run ?? run;
      },
      readable: (header) => origin?.add(header),
      excluded() {
        refusal = new AppError('not_invited', 'This stream is no longer for you.');
        finish();
      },
    },
  );
  const links = createLinks(
    { streamId, network, clock, logger, onUplink: (sample) => deps.uplink.add(sample, false) },
    {
      frame: onFrame,
      part(peer, bytes) {
        if (!intake) throw new AppError('protocol_violation', 'A part came before the stream was described.');
        if (own) throw new AppError('protocol_violation', 'A part was sent to the source.');
        return intake.part(peer, bytes);
      },
      drained: (peer, { header: { rendition, seq } }) =>
        step({ type: 'drained', to: peer, part: { rendition, seq } }),
      unreachable(peer, error) {
        failContact(peer, error);
        step({ type: 'lost', peer });
      },
      closed(peer, broken, byOther) {
        viewersOf.delete(peer);
        if (broken || (byOther && isRelated(peer))) step({ type: 'lost', peer });
      },
      bad: (peer) => step({ type: 'bad', peer }),
    },
  );

  function wakeWaiting(): void {
    waiters.wake();
    deps.changed();
  }

  // ---- what is known of the stream -----------------------------------------------------------------------------------------

  function described(description: Description): void {
    begin();
    if (description.state === 'ended') {
      clock.after(own ? 0 : endMs, () => finish());
      finishWhenWhole();
    }
    wakeWaiting();
  }

  function begin(): void {
    const genesis = knowledge.genesis();
    const description = knowledge.description();
    if (!genesis || !description || overlay) return;
    const check = createChainCheck(genesis, deps.without === 'signatures' ? { without: 'signatures' } : {});
    const here = createPartWindow({
      parts: inParts(Math.min(description.dvrSeconds, limits.memorySeconds), description),
      ...(deps.hotBytes !== undefined && { hotBytes: deps.hotBytes }),
    });
    window = here;
    origin = createHlsOrigin({
      partMs: description.partMs,
      targetLatency: description.targetLatency,
      kinds: description.ladder.map(({ kind }) => kind),
      payload,
      back: {
        seconds: description.dvrSeconds,
        has: here.has,
        async note(rendition, seq) {
          const header = (await here.load(rendition, seq))?.header;
          return header && knowledge.canRead(header) ? header : null;
        },
        fetch: (rendition, seqs) => step({ type: 'fetch', rendition, seqs }),
      },
    });
    useRing();
    const programme = knowledge.programme();
    if (programme) origin.programme(programme);
    intake = createIntake({
      streamId,
      logger,
      check,
      window,
      renditions: () => knowledge.description()?.ladder.length ?? 0,
      step,
      received: tally.bytes,
      completed(entry, peer) {
        tally.part(peer);
        completed(entry, peer);
      },
      withoutHashes: deps.without === 'signatures',
    });
    overlay = createOverlay(
      {
        self: network.peerId,
        source: genesis.device,
        ladder: description.ladder.map(({ bandwidth }) => ({ bitrate: bandwidth })),
        partMs: description.partMs,
        ...(own?.fanOut ? { fanOut: own.fanOut } : {}),
        ...(deps.without === 'backups' || deps.without === 'repeaters' ? { without: deps.without } : {}),
      },
      clock.now(),
      deps.random,
    );
    step({ type: 'conditions', conditions: deps.conditions() });
    if (!own) {
      step({ type: 'watch', renditions: watched });
      step({ type: 'join', contacts: withSource(genesis) });
    }
    tell();
    wakeWaiting();
  }

  /** Who sends or watches keeps on disk what memory has no room for; who only passes a stream on does not. */
  function useRing(): void {
    const genesis = knowledge.genesis();
    const description = knowledge.description();
    if (!deps.openRing || !window || !genesis || !description || ringAsked || (!own && !isWatched)) return;
    ringAsked = true;
    openStreamRing(deps.openRing, window, {
      genesis,
      // A little more than is promised: who goes back as far as he may needs time to begin.
      parts: inParts(description.dvrSeconds + ringMarginSeconds, description),
      resumed: own?.resumed === true,
      isStopped: () => stopping,
    })
      .then((opened) => (ring = opened))
      .catch((error: unknown) =>
        logger.warn({ err: error, streamId }, 'parts of a stream are not kept on disk'),
      );
  }

  const inParts = (seconds: number, { partMs }: Description): number => Math.ceil((seconds * 1000) / partMs);

  const withSource = (genesis: Genesis): Contact[] =>
    !contacts.some((one) => one.peer === genesis.device)
      ? [...contacts, { peer: genesis.device, addresses: [] }]
      : contacts;

  /** Nothing is waited for when the last part is here, and all before it that is still fetched. */
  function finishWhenWhole(): void {
    const description = knowledge.description();
    if (description?.state !== 'ended' || description.last <= 0) return;
    const rendition = watched[0] ?? 0;
    if (!window?.has(rendition, description.last)) return;
    const next = origin?.next(rendition) ?? null;
    if (next === null || next > description.last) finish();
  }

  function finish(): void {
    if (ended) return;
    ended = true;
    origin?.end();
    wakeWaiting();
  }

  // ---- links ---------------------------------------------------------------------------------------------------------------

  const failed = new Set<Peer>();
  function failContact(peer: Peer, error: unknown): void {
    if (overlay) return;
    failed.add(peer);
    if (contacts.length > 0 && contacts.every((one) => failed.has(one.peer))) {
      refusal = isAppError(error, 'stream_unknown')
        ? error
        : new AppError('stream_unknown', 'Nobody who has this stream can be reached.', { cause: error });
      wakeWaiting();
    }
  }

  /** Do we owe each other anything in the tree? */
  function isRelated(peer: Peer): boolean {
    const view = overlay?.view();
    if (!view) return false;
    return view.parent === peer || [...view.backups, ...view.children, ...view.standbys].includes(peer);
  }

  function onFrame(peer: Peer, frame: LiveFrame): void {
    switch (frame.t) {
      case 'message':
        step({ type: 'message', from: peer, message: decodeMessage(frame.bytes) });
        return;
      case 'genesis':
        if (knowledge.take(frame)) begin();
        return;
      case 'description':
      case 'audience':
      case 'key':
        if (!knowledge.take(frame)) return;
        links.spread(frame, peer);
        wakeWaiting();
        return;
      case 'receipt': {
        const receipt = readReceipt(frame.bytes);
        if (receipt.streamId === streamId && receipt.from === network.peerId && receipt.to === peer)
          deps.receipt(receipt);
        return;
      }
      case 'unknown':
        failContact(peer, new AppError('stream_unknown', 'That computer has no such stream, or no longer.'));
        links.close(peer);
        return;
      case 'viewers':
        viewersOf.set(peer, Math.min(frame.count, 1_000_000));
        deps.changed();
        return;
      default:
        throw new AppError('protocol_violation', 'A frame came that has no place here.');
    }
  }

  // ---- parts ---------------------------------------------------------------------------------------------------------------

  function completed(entry: PartEntry, from: Peer | null): void {
    const { header } = entry;
    const now = clock.now();
    const isOld = isLongAgo(header.seq);
    if (!isOld) heardAt = now;
    if (!isOld) latencyMs = deps.clock.now() - header.captured;
    if (
      from !== null &&
      !arrived.has(header.rendition) &&
      knowledge.description()?.ladder[header.rendition]?.kind === 'data'
    )
      fetchFromStart(header);
    arrived.set(header.rendition, now);
    run = Math.max(run, header.run);
    if (knowledge.canRead(header)) origin?.add(header);
    // Of a time before this node's user was let in.
    else if (isOld) origin?.gap(header.rendition, header.seq);
    const { rendition, seq, independent, length: bytes } = header;
    step({ type: 'part', from, part: { rendition, seq, independent, bytes } });
    origin?.cut(window!.floor());
    finishWhenWhole();
    deps.changed();
  }

  /** Data is wanted whole: what was sent before this node came. */
  function fetchFromStart({ rendition, seq }: SignedHeader): void {
    const seqs = Array.from({ length: Math.min(seq, mostFetched) }, (_, n) => seq - 1 - n).reverse();
    if (seqs.length > 0) step({ type: 'fetch', rendition, seqs });
  }

  const isLongAgo = (seq: number): boolean => seq <= (window?.edge() ?? 0) - oldParts;

  /** The readable bytes of a part that is here. @throws AppError `gone`, `key_missing` */
  async function payload({ rendition, seq }: PartNote): Promise<Uint8Array> {
    const entry = await window?.load(rendition, seq);
    if (!entry?.complete) throw new AppError('gone', 'This part is not kept any more.');
    const { header } = entry;
    const bytes = payloadOf(entry);
    return header.epoch === 0 ? bytes : knowledge.keys.openPart(header, bytes);
  }

  // ---- the overlay ---------------------------------------------------------------------------------------------------------

  /** What effects themselves bring about is taken when all of them are done. */
  const events: OverlayEvent[] = [];
  let stepping = false;

  function step(event: OverlayEvent, look?: (effect: Effect) => void): void {
    if (!overlay) return;
    events.push(event);
    if (stepping) return;
    stepping = true;
    try {
      for (let next = events.shift(); next; next = events.shift()) {
        for (const effect of overlay.step(next, clock.now())) {
          if (next === event) look?.(effect);
          perform(effect);
        }
      }
    } finally {
      stepping = false;
    }
    cancelWake();
    const at = overlay.wakeAt();
    if (at !== null && !stopping) wakeLater(at);
  }

  /** After this process was held up, what came meanwhile is looked at before anybody is taken to be silent. */
  function wakeLater(at: number, held = false): void {
    cancelWake = clock.after(Math.max(0, at - clock.now()), () => {
      const now = clock.now();
      if (!held && now - at > heldUpMs) wakeLater(now + heldUpMs, true);
      else step({ type: 'wake' });
    });
  }

  function push({ to, part }: Effect & { readonly type: 'push' }, entry: PartEntry | null): void {
    const link = links.to(to);
    if (!entry || entry.failed) step({ type: 'unavailable', to, part });
    else if (!link) step({ type: 'drained', to, part });
    else link.push(entry, isLongAgo(part.seq));
  }

  function perform(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        if (effect.message.type === 'pull') pulledAt.set(effect.to, clock.now());
        links.send(effect.to, effect.addresses, { t: 'message', bytes: encodeMessage(effect.message) });
        return;
      case 'push': {
        const { rendition, seq } = effect.part;
        const entry = window?.get(rendition, seq);
        if (entry || !window?.has(rendition, seq)) push(effect, entry ?? null);
        else void window.load(rendition, seq).then((read) => push(effect, read));
        return;
      }
      case 'cancel':
        for (const part of effect.parts) {
          const entry = window?.get(part.rendition, part.seq);
          dropped += 1;
          droppedOf.set(effect.to, (droppedOf.get(effect.to) ?? 0) + 1);
          if (entry) links.to(effect.to)?.cancel(entry);
        }
        return;
      case 'drop':
        return;
      case 'close':
        links.close(effect.peer);
        return;
      case 'ban':
        links.ban(effect.peer);
        return;
      case 'gap':
        origin?.gap(effect.part.rendition, effect.part.seq);
        finishWhenWhole();
        return;
      case 'attached':
        switches += 1;
        if (effect.afterMs !== null) longestPauseMs = Math.max(longestPauseMs, effect.afterMs);
        deps.changed();
        tellParent();
        measure(effect.parent);
        return;
      case 'alone':
        if (!own) logger.info({ streamId }, 'no member of a stream has a place; it is tried again');
        return;
      case 'left':
        left?.();
        return;
      case 'dissolved':
        finish();
        return;
    }
  }

  /** What this computer's uplink carries: measured against the first one it is linked to, unless it is known. */
  function measure(peer: Peer): void {
    if (probed) return;
    probed = true;
    if (deps.uplink.rate() !== null) return;
    void links
      .to(peer)
      ?.probe()
      .then((sample) => {
        if (sample === null) {
          probed = false;
          return;
        }
        deps.uplink.add(sample, true);
        if (!stopping) step({ type: 'conditions', conditions: conditions() });
      });
  }

  /** Bytes a second. */
  const knownUplink = (): number => (deps.uplink.rate() ?? 0) / 8;

  function conditions(): Conditions {
    const given = deps.conditions();
    return given.uplink > 0 ? given : { ...given, uplink: deps.uplink.rate() ?? 0 };
  }

  const viewersHere = (): number => {
    const children = new Set(overlay?.view().children ?? []);
    let sum = players;
    for (const [peer, count] of viewersOf) if (children.has(peer)) sum += count;
    return sum;
  };

  function tellParent(): void {
    const parent = overlay?.view().parent;
    if (parent) links.to(parent)?.send({ t: 'viewers', count: viewersHere() });
  }

  /** Once a second: how many watch, what this node can do, and receipts. */
  function tell(): void {
    cancelTell = clock.after(tellEvery, () => {
      if (stopping) return;
      step({ type: 'conditions', conditions: conditions() });
      tellParent();
      const now = clock.now();
      for (const { peer, signed } of tally.due()) links.to(peer)?.send({ t: 'receipt', bytes: signed });
      for (const [peer, at] of pulledAt) {
        if (now - at < fetchedIdleMs) continue;
        pulledAt.delete(peer);
        if (!isRelated(peer)) links.close(peer);
      }
      deps.changed();
      tell();
    });
  }

  return {
    streamId,
    genesis: knowledge.genesis,
    description: knowledge.description,
    programme: knowledge.programme,
    keys: knowledge.keys,
    unlock(key) {
      if (knowledge.keys.audienceKey()) return;
      knowledge.unlock(key);
      wakeWaiting();
    },
    async ready(signal) {
      for (;;) {
        if (refusal) throw refusal;
        const isDescribed = knowledge.description() !== null;
        const isReadable = knowledge.programme() !== null;
        if (isDescribed && isReadable) return;
        if (isDescribed && knowledge.genesis()?.audience === 'unlisted')
          throw new AppError('not_invited', 'This stream needs its whole link.');
        if (isDescribed && knowledge.isClosed())
          throw new AppError('not_invited', 'This stream is for named people, and you are not among them.');
        if (signal.aborted) throw new AppError('timeout', 'The stream did not answer in time.');
        await waiters.next(signal);
      }
    },
    origin() {
      if (origin) return origin;
      throw new AppError('stream_unknown', 'Nothing of this stream has come yet.');
    },
    meet(more) {
      const known = new Set(contacts.map((one) => one.peer));
      const fresh = more.filter((one) => one.peer !== network.peerId && !known.has(one.peer));
      contacts = [...contacts, ...fresh].slice(-64);
      if (own) return;
      // One that is known may be back, at another address.
      if (overlay) step({ type: 'join', contacts: more.filter((one) => one.peer !== network.peerId) });
      else for (const one of fresh) links.meet(one.peer, one.addresses);
    },
    async accept(stream) {
      if (links.isBanned(stream.peer) || stopping)
        return stream.abort(new AppError('not_allowed', 'This stream is not sent to you.'));
      const link = links.attach(stream);
      for (const frame of knowledge.records()) link.send(frame);
      if (own) measure(stream.peer);
      await stream.closed;
    },
    watch(wanted, now) {
      players = now;
      if (wanted.length > 0) {
        isWatched = true;
        useRing();
      }
      // Who only passes it on takes the best one: what it does not have it cannot give.
      const renditions = wanted.length === 0 ? [0] : wanted;
      const same = renditions.length === watched.length && renditions.every((one, n) => one === watched[n]);
      watched = renditions;
      if (!same && !own) step({ type: 'watch', renditions });
      tellParent();
      deps.changed();
    },
    publish({ header, payload: bytes }) {
      const entry = window?.begin(header);
      if (!entry) return;
      for (let at = 0; at < bytes.length; at += limits.chunkBytes)
        window!.append(entry, bytes.subarray(at, at + limits.chunkBytes));
      ingested += 1;
      completed(entry, null);
    },
    describe(next) {
      if (knowledge.describe(next)) links.spread({ t: 'description', bytes: next.bytes }, null);
      if (next.state === 'ended') step({ type: 'end' });
    },
    publishKey(record) {
      if (knowledge.addKey(record)) links.spread({ t: 'key', bytes: record.bytes }, null);
    },
    publishAudience(record) {
      if (knowledge.addAudience(record)) links.spread({ t: 'audience', bytes: record.bytes }, null);
    },
    stats() {
      const view = overlay?.view();
      const now = clock.now();
      const children = view?.children ?? [];
      // Whoever has none is spared the list of all connections.
      const rtts = new Map(children.length > 0 ? network.peers().map((one) => [one.peerId, one.rtt]) : []);
      return {
        role: view?.role ?? (own ? 'source' : 'viewer'),
        depth: own ? 0 : view?.parent ? view.depth : null,
        parent: view?.parent ?? null,
        backups: view?.backups ?? [],
        children,
        branches: children.map((peerId) => ({
          peerId,
          viewers: viewersOf.get(peerId) ?? 0,
          queueMs: links.to(peerId)?.queueMs() ?? 0,
          dropped: droppedOf.get(peerId) ?? 0,
          rtt: rtts.get(peerId) ?? null,
        })),
        sent: links.sent(),
        received: links.received(),
        duplicateBytes: intake?.duplicateBytes() ?? 0,
        rejected: intake?.rejected() ?? 0,
        latencyMs,
        gaps: origin?.gaps() ?? 0,
        switches: Math.max(0, switches),
        longestPauseMs,
        viewers: viewersHere(),
        run,
        parts: window?.count() ?? 0,
        ingested,
        uplink: Math.round(knownUplink()),
        arriving: (knowledge.programme()?.renditions ?? [])
          .filter((_, n) => now - (arrived.get(n) ?? -Infinity) < 3_000)
          .map((one) => one.id),
      };
    },
    health() {
      const children = overlay?.view().children ?? [];
      const queues = children.map((peer) => links.to(peer)?.queueMs() ?? 0);
      return { queueMs: Math.max(0, ...queues), uplink: knownUplink(), dropped };
    },
    ended: () => ended,
    heardAt: () => heardAt,
    lose() {
      logger.info({ streamId }, 'the source of a stream has gone without a word');
      finish();
    },
    async suspend() {
      if (stopping) return;
      stopping = true;
      links.stop();
      cancelWake();
      cancelTell();
      // That it is away may still go out.
      await new Promise<void>((resolve) => clock.after(lastWordMs, resolve));
      links.closeAll();
      await ring?.close();
      finish();
      wakeWaiting();
    },
    async stop() {
      if (stopping) return;
      if (overlay) {
        const gone = new Promise<void>((resolve) => (left = resolve));
        const cancel = clock.after(leaveMs, () => left?.());
        if (!own) {
          step({ type: 'leave' });
          await gone;
        } else if (!ended) step({ type: 'end' });
        cancel();
      }
      stopping = true;
      links.stop();
      left = null;
      cancelWake();
      cancelTell();
      // What was said last may still go out.
      if (own) await new Promise<void>((resolve) => clock.after(lastWordMs, resolve));
      links.closeAll();
      await ring?.remove();
      finish();
      wakeWaiting();
    },
  };
}
