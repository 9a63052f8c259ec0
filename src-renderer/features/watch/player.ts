import type Hls from 'hls.js';
import type { Level } from 'hls.js';
import { computed, onScopeDispose, reactive, ref, shallowRef } from 'vue';
import { catchUp, createAutoQuality } from './catch-up.ts';

export interface Choice {
  /** Index of hls.js; -1 is automatic. */
  readonly index: number;
  /** 0: sound only. */
  readonly height: number;
  readonly bitrate: number;
  /** The rendition's name in the stream. */
  readonly id: string;
  readonly url: string;
}

export type PlayerTrouble = 'ended' | 'gone' | 'unplayable' | 'network' | null;

export const automatic = -1;
export const soundOnly = -2;
const looks = 250;
/** What was playing is waited for so long, ms. */
const patience = 180_000;
/** A dragged slider rests so long before something is loaded, ms. */
const dragMs = 350;
/** How often the node is told that a better rendition is still wanted, ms. */
const wishEvery = 4000;

/** The player's library, fetched once: ask for it as soon as somebody may want to watch. */
export const loadLibrary = () => import('hls.js');

/** Plays one live stream in a video element. */
export function createPlayer(options: {
  /** Renditions that come to this node now; null while that is not known. */
  readonly arriving: () => readonly string[] | null;
  /** The rendition of sound alone, if there is one: hls.js passes over such a one beside pictures. */
  readonly sound: () => { readonly id: string; readonly bitrate: number } | null;
  /** How far back one may go at all, s: further than what came since this node joined. */
  readonly reach?: () => number;
}) {
  const video = shallowRef<HTMLVideoElement | null>(null);
  const choices = shallowRef<readonly Choice[]>([]);
  /** One of `automatic`, `soundOnly` or an index of `choices`. */
  const chosen = ref(automatic);
  /** Only the playlist of the sound is played. */
  const soundAlone = ref(false);
  let base = '';
  let address = '';
  /** What is played begins in the past, before this node joined: another playlist, without catching up. */
  const past = ref(false);
  let reloading = 0;
  const playing = ref(-1);
  const state = reactive({
    ready: false,
    paused: true,
    waiting: true,
    muted: false,
    volume: 1,
    /** The person went back or paused: no catching up until they go to the edge again. */
    back: false,
    /** Seconds behind the camera, by the clocks of both computers; null before the first picture. */
    behind: null as number | null,
    /** What can be gone back to, seconds before the edge; and where playing is. */
    window: 0,
    at: 0,
    stalls: 0,
    rate: 1,
    /** Sound needs a click first. */
    needsClick: false,
  });
  const trouble = ref<PlayerTrouble>(null);
  let hls: Hls | null = null;
  let auto = createAutoQuality(1);
  let timer = 0;
  let recoveries = 0;
  let playedAt = 0;
  let lastTime = -1;
  /** What can be gone back to without another playlist, s before the edge. */
  let here = 0;
  let wished = 0;

  async function open(element: HTMLVideoElement, url: string): Promise<void> {
    base = url;
    past.value = false;
    address = url;
    await load(element);
  }

  /** Goes to what this node has to fetch first. Waits a moment: a person who drags is not there yet. */
  function openPast(seconds: number): void {
    clearTimeout(reloading);
    state.back = true;
    state.at = seconds;
    reloading = window.setTimeout(() => {
      const element = video.value;
      if (!element) return;
      past.value = true;
      soundAlone.value = false;
      address = `${base}?back=${Math.round(seconds)}`;
      void load(element);
    }, dragMs);
  }

  async function load(element: HTMLVideoElement): Promise<void> {
    close();
    video.value = element;
    trouble.value = null;
    state.ready = false;
    const { default: Player } = await loadLibrary();
    if (video.value !== element) return;
    if (!Player.isSupported()) {
      trouble.value = 'unplayable';
      return;
    }
    hls = new Player({
      lowLatencyMode: !past.value,
      // Parts are fragmented MP4 already, there is nothing to do for a worker; and the page allows none from a blob.
      enableWorker: false,
      // The default is longer than a part, and parts at the ends of segments are then passed over.
      maxFragLookUpTolerance: 0.05,
      liveDurationInfinity: true,
      backBufferLength: 130,
      maxBufferHole: 0.2,
      // Catching up is done here: theirs waits for a second of buffer that never is there.
      maxLiveSyncPlaybackRate: 1,
      liveSyncOnStallIncrease: 0,
      // The node decides; how fast bytes come from it says nothing.
      startLevel: -1,
      testBandwidth: false,
      startFragPrefetch: true,
      manifestLoadingTimeOut: 15_000,
      levelLoadingTimeOut: 12_000,
      fragLoadingTimeOut: 12_000,
    } as Partial<Hls['config']>);
    const made = hls;
    made.on(Player.Events.MANIFEST_PARSED, (_, { levels }) => {
      if (!soundAlone.value)
        choices.value = levels.map((level: Level, index) => ({
          index,
          height: level.height,
          bitrate: level.bitrate,
          id: /\/([^/]+)\/[^/]+$/.exec(level.uri)?.[1] ?? '',
          url: level.uri,
        }));
      auto = createAutoQuality(withPictures().length || 1);
      applyQuality();
    });
    made.on(Player.Events.LEVEL_SWITCHED, (_, { level }) => (playing.value = level));
    made.on(Player.Events.ERROR, (_, error) => {
      if (error.details === Player.ErrorDetails.BUFFER_STALLED_ERROR) {
        state.stalls += 1;
        auto.stalled(performance.now());
      }
      if (!error.fatal) return;
      const status = error.response?.code ?? 0;
      if (status === 404 || status === 410) trouble.value = 'gone';
      else if (error.type === Player.ErrorTypes.MEDIA_ERROR && recoveries < 3) {
        recoveries += 1;
        made.recoverMediaError();
        return;
      } else if (
        error.type === Player.ErrorTypes.NETWORK_ERROR &&
        // A source that starts anew needs a while, and its viewers wait for it.
        (recoveries < 5 || performance.now() - playedAt < patience)
      ) {
        recoveries += 1;
        setTimeout(() => hls === made && made.startLoad(), 500);
        return;
      } else trouble.value = error.type === Player.ErrorTypes.NETWORK_ERROR ? 'network' : 'unplayable';
      close();
    });
    const sound = soundAlone.value ? options.sound() : null;
    made.loadSource(sound ? new URL(`${sound.id}/index.m3u8`, address).href : address);
    made.attachMedia(element);
    void play();
    timer = window.setInterval(look, looks);
  }

  const withPictures = () =>
    [...choices.value].filter(({ height }) => height > 0).sort((a, b) => b.bitrate - a.bitrate);

  /** The person's choice; else the best that the node gets, one lower for stalls. */
  function wantedLevel(): number {
    if (soundAlone.value) return 0;
    if (chosen.value >= 0) return chosen.value;
    const all = withPictures();
    const arriving = options.arriving();
    const here = arriving === null ? all : all.filter(({ id }) => arriving.includes(id));
    const best = all[0];
    if (!best) return 0;
    // For a moment nothing may come: then it stays as it is.
    if (here.length === 0) return playing.value >= 0 ? playing.value : best.index;
    const now = performance.now();
    const wanted = here[Math.min(auto.below(now), here.length - 1)]!;
    if (wanted !== best && auto.below(now) === 0) wish(best.url);
    return wanted.index;
  }

  /** The node gets what its player asks for: asked for now and then, a better rendition comes back when it can. */
  function wish(url: string): void {
    const now = performance.now();
    if (now - wished < wishEvery) return;
    wished = now;
    fetch(url, { credentials: 'omit' }).catch(() => {});
  }

  /** A line so slow that only sound arrives is better heard than not; pictures come back with the first that arrive. */
  function soundOrPictures(): void {
    const element = video.value;
    const arriving = options.arriving();
    const sound = options.sound();
    if (!element || !sound || past.value) return;
    const pictures = withPictures();
    const some = pictures.some(({ id }) => arriving?.includes(id) === true);
    const alone =
      chosen.value === soundOnly ||
      (chosen.value === automatic &&
        arriving !== null &&
        arriving.includes(sound.id) &&
        !some &&
        pictures.length > 0);
    const lowest = pictures.at(-1);
    if (alone && chosen.value === automatic && lowest) wish(lowest.url);
    if (alone === soundAlone.value) return;
    soundAlone.value = alone;
    void load(element);
  }

  function applyQuality(byHand = false): void {
    if (!hls) return;
    const wanted = wantedLevel();
    if (!state.ready && hls.startLevel !== wanted) hls.startLevel = wanted;
    // What is buffered is played, unless the person wants to see the change.
    if (byHand) hls.nextLevel = wanted;
    else if (hls.loadLevel !== wanted) hls.loadLevel = wanted;
  }

  function look(): void {
    const element = video.value;
    if (!hls || !element) return;
    if (element.currentTime !== lastTime) playedAt = performance.now();
    lastTime = element.currentTime;
    soundOrPictures();
    if (hls === null) return;
    applyQuality();
    const edge = hls.liveSyncPosition ?? 0;
    const { seekable } = element;
    const shownAt = hls.playingDate;
    const reach = options.reach?.() ?? 0;
    if (past.value) {
      if (shownAt !== null && state.ready) state.at = Math.max(0, (Date.now() - shownAt.getTime()) / 1000);
      state.window = Math.max(reach, state.at);
    } else if (seekable.length > 0) {
      const end = Math.max(edge, element.currentTime);
      here = Math.max(0, end - seekable.start(0));
      state.window = Math.max(here, reach);
      state.at = Math.max(0, end - element.currentTime);
    }
    state.behind = shownAt === null ? null : Math.max(0, (Date.now() - shownAt.getTime()) / 1000);
    if (element.paused || state.back || !state.ready) return;
    const target = hls.targetLatency;
    if (target === null || hls.latency === 0) return;
    const next = catchUp(hls.latency - target, element.playbackRate);
    if ('skip' in next) element.currentTime = edge;
    else if (element.playbackRate !== next.rate) element.playbackRate = next.rate;
    state.rate = element.playbackRate;
  }

  async function play(): Promise<void> {
    const element = video.value;
    if (!element) return;
    try {
      await element.play();
      state.needsClick = false;
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return;
      // The browser wants a click before there may be sound: pictures first.
      element.muted = true;
      state.needsClick = true;
      await element.play().catch(() => {});
    }
  }

  function toEdge(): void {
    const element = video.value;
    if (!element || !hls) return;
    state.back = false;
    clearTimeout(reloading);
    if (past.value) {
      void open(element, base);
      return;
    }
    if (hls.liveSyncPosition !== null && state.at > 0.5) element.currentTime = hls.liveSyncPosition;
    void play();
  }
  /** @param seconds before the edge */
  function goBack(seconds: number): void {
    const element = video.value;
    if (!element || (!past.value && !hls?.liveSyncPosition)) return;
    const wanted = Math.min(state.window, Math.max(0, seconds));
    if (wanted < 1) {
      toEdge();
      return;
    }
    if (past.value) {
      const { seekable } = element;
      const to = element.currentTime + state.at - wanted;
      const isHere =
        state.ready && seekable.length > 0 && to >= seekable.start(0) && to <= seekable.end(0) - 1;
      if (isHere) element.currentTime = to;
      else openPast(wanted);
      return;
    }
    if (wanted > here + 1) {
      openPast(wanted);
      return;
    }
    if (!hls?.liveSyncPosition) return;
    state.back = true;
    element.playbackRate = 1;
    element.currentTime = hls.liveSyncPosition - wanted;
  }
  function pause(): void {
    state.back = true;
    video.value?.pause();
  }

  function close(): void {
    clearInterval(timer);
    clearTimeout(reloading);
    hls?.destroy();
    hls = null;
  }
  onScopeDispose(close);

  return {
    state,
    choices: computed(() => choices.value),
    chosen,
    soundAlone,
    playing,
    trouble,
    open,
    close,
    play,
    pause,
    toEdge,
    goBack,
    choose(index: number) {
      chosen.value = index;
      if (soundAlone.value || index === soundOnly) soundOrPictures();
      else applyQuality(true);
    },
    setVolume(volume: number, muted: boolean) {
      if (!video.value) return;
      video.value.volume = volume;
      video.value.muted = muted;
      if (!muted) state.needsClick = false;
    },
  };
}
