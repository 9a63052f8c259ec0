import { useEventListener, useIntervalFn, useLocalStorage } from '@vueuse/core';
import { defineStore } from 'pinia';
import { computed, reactive, ref, shallowReactive, shallowRef, watch } from 'vue';
import { useI18n } from 'vue-i18n';
import { isAppError } from '../../../src-shared/errors.ts';
import type { StreamStats } from '../../../src-shared/contract/index.ts';
import { follow } from '../../rpc/follow.ts';
import { useLink } from '../../rpc/node-link.ts';
import { useNode } from '../../stores/node.ts';
import type {
  FromWorker,
  Health,
  LivePlan,
  MadeRendition,
  ProbeResult,
  ToWorker,
  Trouble,
} from './engine/messages.ts';
import { listDevices, SourceError } from './engine/media.ts';
import type { Devices, SourceTrouble, Wanted } from './engine/media.ts';
import { createMixer } from './engine/mixer.ts';
import type { Mixer } from './engine/mixer.ts';
import { createPast } from './past.ts';
import { createPictures } from './pictures.ts';
import { createPoster } from './poster.ts';
import { suggest, usualBitrate, videosOf, widthOf } from './plan.ts';
import type { Quality } from './plan.ts';
import { keepRunning, readRunning, runningOf, scenesAgain } from './running.ts';
import type { Running } from './running.ts';
import { drawingOf } from './scenes.ts';
import { createSoundBoard } from './sound.ts';

/** What a person has to know of, as long as it lasts; `key` is its sentence. */
export interface Notice {
  readonly id: string;
  readonly key: string;
  readonly detail: string;
  readonly serious: boolean;
}

const audioBitrate = 128_000;
const readyWithin = 10_000;
/** A node that does not take a stream again yet is asked once more after so long, ms. */
const againAfter = 2_000;
let made = 0;
const newId = (kind: string): string => `${kind}-${(made += 1)}`;

/**
 * The studio: sources, scenes, sound and the stream itself. It is no part of a page: whoever goes on to their files stays live.
 */
export const useStudio = defineStore('studio', () => {
  const link = useLink();
  const node = useNode();
  const { t } = useI18n();

  // ——— what is set before going live
  const title = useLocalStorage('extrachain.studio.title', '');
  const audience = ref<'public' | 'unlisted' | 'private'>('public');
  const invited = ref<string[]>([]);
  const record = ref<string | null>(null);
  const latency = useLocalStorage<'default' | 'interactive'>('extrachain.studio.latency', 'default');
  const music = useLocalStorage('extrachain.studio.music', false);
  const quality = ref<Quality>({ family: 'h264', height: 720, fps: 30, bitrate: 2_500_000, second: true });
  const chosen = ref(false);

  // ——— what is there
  const probed = shallowRef<readonly ProbeResult[] | null>(null);
  const devices = shallowRef<Devices>({ cameras: [], microphones: [] });
  const sizes = reactive(new Map<string, string>());
  const notices = reactive<Notice[]>([]);
  const thumbs = shallowReactive(new Map<string, ImageBitmap>());

  // ——— the stream
  const phase = ref<'idle' | 'starting' | 'live' | 'ending'>('idle');
  const streamId = ref<string | null>(null);
  const address = ref('');
  const startedAt = ref(0);
  const health = shallowRef<Health | null>(null);
  const stats = shallowRef<StreamStats | null>(null);
  const past = createPast();
  const isLive = computed(() => phase.value === 'live' || phase.value === 'ending');

  // ——— the worker and the mixer, made when they are first needed
  let worker: Worker | null = null;
  let mixer: Mixer | null = null;
  let onReady: ((made: readonly MadeRendition[]) => void) | null = null;
  let onBegan: (() => void) | null = null;
  let onEnded: (() => void) | null = null;
  let onFailed: ((trouble: Trouble, detail: string) => void) | null = null;
  let onProbed: (() => void) | null = null;

  const poster = createPoster((of) => say({ kind: 'still', of }, of ? [of] : []));
  async function choosePoster(file: File): Promise<void> {
    try {
      await poster.choose(file);
    } catch {
      notice('poster', 'studio.pictureNone');
    }
  }

  function say(message: ToWorker, transfer: Transferable[] = []): void {
    ensureWorker().postMessage(message, transfer);
  }
  function ensureWorker(): Worker {
    if (worker) return worker;
    worker = new Worker(new URL('./engine/studio-worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => hear(data);
    worker.onerror = (event) => {
      event.preventDefault();
      hear({ kind: 'trouble', trouble: 'encoder_failed', detail: event.message });
    };
    sayCanvas();
    return worker;
  }
  async function ensureMixer(): Promise<Mixer> {
    if (!mixer) {
      mixer = createMixer();
      say({ kind: 'sound', port: mixer.out }, [mixer.out]);
    }
    await mixer.start();
    return mixer;
  }
  function sayCanvas(): void {
    const { height, fps } = quality.value;
    worker?.postMessage({ kind: 'canvas', width: widthOf(height), height, fps } satisfies ToWorker);
  }
  const sound = createSoundBoard({
    mixer: () => mixer,
    ensureMixer,
    music,
    newId,
    microphoneName: () => t('studio.kind.microphone'),
    lost: () => trouble('microphone', 'lost'),
    failed: tell,
    opened: () => void look(),
  });
  const { channels, addMicrophone, removeChannel, setVolume, mute, level } = sound;
  const pictures = createPictures({
    say,
    quality,
    title,
    sound,
    ensureMixer,
    newId,
    name: (kind) => t(`studio.kind.${kind}`),
    trouble,
    notice,
    dismiss,
    failed: tell,
    opened: () => void look(),
  });
  const { scenes, shown, scene, selected, item, lost, startCamera, lose, findLost } = pictures;
  const { addCamera, addScreen, addFile, addImage, addText, removeItem, moveItem, raise } = pictures;
  const { addScene, removeScene, show } = pictures;
  watch(
    () => [quality.value.height, quality.value.fps],
    () => sayCanvas(),
  );
  watch(
    [scenes, shown],
    () => {
      if (!worker && scenes.every(({ items }) => items.length === 0)) return;
      say({ kind: 'scenes', scenes: scenes.map(drawingOf), shown: scene.value.id });
    },
    { deep: true },
  );

  function notice(id: string, key: string, detail = '', serious = true): void {
    dismiss(id);
    notices.push({ id, key, detail, serious });
  }
  function dismiss(id: string): void {
    const at = notices.findIndex((one) => one.id === id);
    if (at >= 0) notices.splice(at, 1);
  }
  function tell(error: unknown): void {
    if (error instanceof SourceError) {
      if (error.trouble !== 'cancelled') trouble(error.wanted, error.trouble);
    } else notice('failed', 'studio.trouble.failed', error instanceof Error ? error.message : String(error));
  }
  function trouble(wanted: Wanted, what: SourceTrouble): void {
    notice(`${wanted}-${what}`, `studio.trouble.${wanted}.${what}`);
  }

  function hear(message: FromWorker): void {
    switch (message.kind) {
      case 'health':
        health.value = message.health;
        note(message.health);
        return;
      case 'ready':
        onReady?.(message.renditions);
        return;
      case 'began':
        onBegan?.();
        return;
      case 'ended':
        onEnded?.();
        return;
      case 'trouble':
        if (onFailed) onFailed(message.trouble, message.detail);
        else if (message.trouble === 'node_lost') void carryOn();
        else if (phase.value === 'live') {
          notice('stream', `studio.trouble.stream.${message.trouble}`, message.detail);
          void end();
        }
        return;
      case 'sourceSize':
        sizes.set(message.source, `${message.width} × ${message.height}`);
        return;
      case 'sourceEnded':
        lose(message.source);
        return;
      case 'still':
        poster.made(message.bytes);
        return;
      case 'thumb':
        thumbs.get(message.scene)?.close();
        thumbs.set(message.scene, message.bitmap);
        return;
      case 'probed':
        probed.value = message.results;
        onProbed?.();
    }
  }

  /** Measures what this machine encodes, once, and suggests a quality unless the person chose one. */
  async function measure(): Promise<void> {
    if (probed.value !== null) return;
    await new Promise<void>((resolve) => {
      onProbed = resolve;
      say({ kind: 'probe', call: 1 });
    });
    const found = probed.value as readonly ProbeResult[] | null;
    if (!chosen.value && found) quality.value = suggest(found, null);
    if (found?.length === 0) notice('encoders', 'studio.trouble.noEncoder');
  }

  function setQuality(change: Partial<Quality>): void {
    chosen.value = true;
    const next = { ...quality.value, ...change };
    if (change.bitrate === undefined) next.bitrate = usualBitrate(next.height, next.fps, next.family);
    quality.value = next;
  }

  // ——— devices that come and go
  async function look(): Promise<void> {
    devices.value = await listDevices();
  }
  if (navigator.mediaDevices)
    useEventListener(navigator.mediaDevices, 'devicechange', () => void lookAgain());
  async function lookAgain(): Promise<void> {
    await look();
    await findLost(devices.value);
  }

  // ——— a stream that this window sent before it was loaded anew
  const left = shallowRef<Running | null>(null);
  let restored = false;
  let runningPlan: LivePlan | null = null;
  function keep(): void {
    if (!isLive.value || runningPlan === null || streamId.value === null) return;
    keepRunning({
      streamId: streamId.value,
      link: address.value,
      plan: runningPlan,
      quality: quality.value,
      title: title.value,
      audience: audience.value,
      invited: invited.value,
      record: record.value,
      startedAt: startedAt.value,
      scenes,
      shown: shown.value,
      microphones: sound.microphones(),
    });
  }
  useEventListener('pagehide', keep);
  follow(
    () => node.ready,
    (_, failed) => {
      if (!isLive.value) {
        const remembered = readRunning();
        link
          .call((client) => client.streams.list())
          .then((all) => {
            const runs = all.some(
              (one) => one.streamId === remembered?.streamId && one.own && one.state === 'live',
            );
            if (!runs) keepRunning(null);
            const found = runs ? remembered : (all.map(runningOf).find((one) => one !== null) ?? null);
            if (found && phase.value === 'idle') {
              left.value = found;
              chosen.value = true;
              quality.value = found.quality;
              title.value = found.title;
              audience.value = found.audience;
              invited.value = [...found.invited];
              record.value = found.record;
              address.value = found.link;
            }
          }, failed);
      }
      return () => {};
    },
  );
  /** Opens cameras and microphones again as they were, and goes on. A click comes before it: browsers want one for sound and screens. */
  async function goOn(): Promise<void> {
    const before = left.value;
    if (!before || phase.value !== 'idle') return;
    const isEmpty = channels.length === 0 && scenes.every(({ items }) => items.length === 0);
    // What the person has put there since counts.
    if (!restored && isEmpty) {
      restored = true;
      const again = scenesAgain(before, newId);
      pictures.replace(again.scenes, again.shown);
      for (const source of again.cameras)
        await startCamera(source, source.slice('camera:'.length) || null).catch(tell);
      if (again.screen) await addScreen();
      for (const { deviceId, name, volume, muted } of before.microphones) {
        await addMicrophone(deviceId, name);
        const channel = channels.at(-1);
        if (!channel) continue;
        setVolume(channel.id, volume);
        mute(channel.id, muted);
      }
    }
    if (canStart.value) await start();
    else notice('sources', 'studio.left.sources', '', false);
  }
  async function endLeft(): Promise<void> {
    const before = left.value;
    if (!before) return;
    await link.call((client) => client.streams.stop({ stream: before.streamId }));
    left.value = null;
    keepRunning(null);
  }

  // ——— live
  const canStart = computed(
    () =>
      phase.value === 'idle' &&
      title.value.trim() !== '' &&
      (scenes.some(({ items }) => items.length > 0) || channels.length > 0) &&
      (audience.value !== 'private' || invited.value.length > 0 || left.value !== null),
  );

  async function start(): Promise<void> {
    if (!canStart.value) return;
    const before = left.value;
    phase.value = 'starting';
    dismiss('stream');
    try {
      await measure();
      await ensureMixer();
      const plan = before?.plan ?? {
        videos: videosOf(quality.value),
        audioBitrate: music.value ? 192_000 : audioBitrate,
        fps: quality.value.fps,
      };
      const renditions = await new Promise<readonly MadeRendition[]>((resolve, reject) => {
        onReady = resolve;
        onFailed = (what, detail) => reject(new StreamTrouble(what, detail));
        setTimeout(() => reject(new StreamTrouble('encoder_failed', '')), readyWithin);
        sayCanvas();
        say({ kind: 'scenes', scenes: scenes.map(drawingOf), shown: scene.value.id });
        say({ kind: 'live', plan });
      });
      const picture = before ? null : await poster.forStart();
      const started = await link.call((client) => {
        if (before) return client.streams.resume({ stream: before.streamId });
        return client.streams.start({
          title: title.value.trim(),
          poster: picture,
          audience: audience.value === 'private' ? [...invited.value] : audience.value,
          record: record.value,
          dvrSeconds: 1800,
          targetLatency: latency.value,
          fanout: null,
          renditions: renditions.map((one) => ({
            ...one,
            ...(one.kind === 'av' && { frameRate: plan.fps }),
          })),
        });
      });
      streamId.value = started.streamId;
      address.value = started.link;
      await sendTo(started.ingestUrl);
      startedAt.value = before?.startedAt ?? Date.now();
      phase.value = 'live';
      left.value = null;
      runningPlan = plan;
      keep();
    } catch (error) {
      if (error instanceof StreamTrouble)
        notice('stream', `studio.trouble.stream.${error.trouble}`, error.detail);
      else {
        notice('stream', 'studio.trouble.stream.refused', error instanceof Error ? error.message : '');
        // It has ended meanwhile.
        left.value = null;
      }
      await finish();
    } finally {
      onReady = onBegan = onFailed = null;
    }
  }

  /** Gives the worker the node's address for parts, and waits until the first has arrived. @throws StreamTrouble */
  const sendTo = (url: string): Promise<void> =>
    new Promise<void>((resolve, reject) => {
      onBegan = resolve;
      onFailed = (what, detail) => reject(new StreamTrouble(what, detail));
      setTimeout(() => reject(new StreamTrouble('node_lost', '')), readyWithin);
      say({ kind: 'ingest', url });
    });

  let carrying = false;
  /** The node has gone, perhaps in a crash: cameras stay on, and what they see goes out again once it is back. */
  async function carryOn(): Promise<void> {
    const id = streamId.value;
    if (carrying || phase.value !== 'live' || id === null) return;
    carrying = true;
    const isOurs = (): boolean => phase.value === 'live' && streamId.value === id;
    notice('node', 'studio.trouble.stream.node_away');
    try {
      while (isOurs()) {
        try {
          const found = await link.call((client) => client.streams.resume({ stream: id }));
          if (!isOurs()) return;
          address.value = found.link;
          await sendTo(found.ingestUrl);
          dismiss('node');
          keep();
          return;
        } catch (error) {
          if (!isOurs()) return;
          if (isAppError(error, 'stream_unknown') || isAppError(error, 'stream_ended')) {
            notice('stream', 'studio.trouble.stream.stream_ended');
            void end();
            return;
          }
          // It may be there and not ready yet: locked, or without its network.
          await new Promise((resolve) => setTimeout(resolve, againAfter));
        } finally {
          onBegan = onFailed = null;
        }
      }
    } finally {
      carrying = false;
    }
  }
  // Said as soon as it is known, not only when parts have waited in vain.
  watch(
    () => isLive.value && node.connection !== 'open',
    (away) => {
      if (away) notice('node', 'studio.trouble.stream.node_away');
      else if (!carrying) dismiss('node');
    },
  );

  async function finish(): Promise<void> {
    dismiss('node');
    const ended = new Promise<void>((resolve) => (onEnded = resolve));
    say({ kind: 'end' });
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, readyWithin))]);
    const id = streamId.value;
    // A node that is away is told when it is back.
    const told = id !== null && link.call((client) => client.streams.stop({ stream: id })).catch(() => {});
    if (node.connection === 'open') await told;
    runningPlan = null;
    keepRunning(null);
    streamId.value = null;
    phase.value = 'idle';
    health.value = null;
    stats.value = null;
    past.forget();
  }
  /** Says whom the stream is for; while it is live, from now on. */
  async function invite(users: readonly string[]): Promise<void> {
    const before = invited.value;
    invited.value = [...users];
    const id = streamId.value;
    if (!isLive.value || id === null) return;
    const add = users.filter((one) => !before.includes(one));
    const remove = before.filter((one) => !users.includes(one));
    try {
      await link.call((client) => client.streams.invite({ stream: id, add, remove }));
    } catch (error) {
      invited.value = before;
      throw error;
    }
  }
  async function end(): Promise<void> {
    if (phase.value !== 'live') return;
    phase.value = 'ending';
    await finish();
  }

  follow(
    () => (isLive.value ? streamId.value : null),
    (id, failed) =>
      link.watchObject<StreamStats>(
        (client) => client.streams.watchStats({ stream: id }),
        (value) => (stats.value = value),
        failed,
      ),
  );

  function note(now: Health): void {
    past.add(now);
    if (now.step > 0)
      notice('quality', `studio.trouble.slow.${now.reason === 'uplink' ? 'uplink' : 'machine'}`, '', false);
    else dismiss('quality');
  }
  const now = ref(Date.now());
  const clock = useIntervalFn(() => (now.value = Date.now()), 1000, { immediate: false });
  watch(isLive, (live) => (live ? clock.resume() : clock.pause()));
  const seconds = computed(() => Math.max(0, Math.round((now.value - startedAt.value) / 1000)));

  /** The canvas that shows what is sent; null when no page does. */
  function preview(canvas: HTMLCanvasElement | null): void {
    if (canvas === null) {
      worker?.postMessage({ kind: 'preview', canvas: null } satisfies ToWorker);
      return;
    }
    const given = canvas.transferControlToOffscreen();
    say({ kind: 'preview', canvas: given }, [given]);
  }

  // Who closes the window while live is asked.
  useEventListener('beforeunload', (event: BeforeUnloadEvent) => {
    if (isLive.value) event.preventDefault();
  });

  return {
    title,
    left,
    goOn,
    endLeft,
    chosenPoster: poster.chosen,
    posterShown: poster.shown,
    forgetPoster: poster.forget,
    choosePoster,
    audience,
    invited,
    invite,
    record,
    latency,
    music,
    quality,
    probed,
    devices,
    scenes,
    shown,
    scene,
    selected,
    item,
    channels,
    sizes,
    lost,
    notices,
    thumbs,
    phase,
    isLive,
    streamId,
    address,
    seconds,
    health,
    stats,
    past: past.lists,
    canStart,
    measure,
    setQuality,
    look,
    addCamera,
    addScreen,
    addFile,
    addImage,
    addText,
    addMicrophone,
    addScene,
    removeScene,
    removeItem,
    removeChannel,
    moveItem,
    raise,
    show,
    setVolume,
    mute,
    level,
    preview,
    start,
    end,
    dismiss,
  };
});

class StreamTrouble extends Error {
  readonly trouble: Trouble;
  readonly detail: string;
  constructor(trouble: Trouble, detail: string) {
    super(`${trouble}: ${detail}`);
    this.trouble = trouble;
    this.detail = detail;
  }
}
