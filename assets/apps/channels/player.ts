import Player from 'hls.js';

/** Further behind the edge than it should be by so much, seconds, it jumps there. */
const tooLate = 3;
const lookEvery = 500;

/**
 * Plays the LL-HLS playlist that `streams.watch` answers. What it loads comes from the page's own origin, and what it plays is a blob of
 * the page: both are open to an app.
 * @param url of the playlist
 * @param on `ended`: the stream is over; `failed`: it can't be played
 * @returns ends it
 */
export function playLive(
  video: HTMLVideoElement,
  url: string,
  on: { readonly ended: () => void; readonly failed: () => void },
): () => void {
  if (!Player.isSupported()) {
    on.failed();
    return () => {};
  }
  let recoveries = 0;
  const hls = new Player({
    lowLatencyMode: true,
    // Parts are fragmented MP4 already, there is nothing to do for a worker.
    enableWorker: false,
    // The default is longer than a part, and parts at the ends of segments are then passed over.
    maxFragLookUpTolerance: 0.05,
    liveDurationInfinity: true,
    backBufferLength: 130,
    maxBufferHole: 0.2,
    // The node decides; how fast bytes come from it says nothing.
    testBandwidth: false,
    startFragPrefetch: true,
    manifestLoadingTimeOut: 30_000,
    levelLoadingTimeOut: 20_000,
    fragLoadingTimeOut: 20_000,
  });
  hls.on(Player.Events.ERROR, (_, error) => {
    if (!error.fatal) return;
    const status = error.response?.code ?? 0;
    if (status === 404 || status === 410) return end(on.ended);
    if (recoveries >= 5) return end(on.failed);
    recoveries += 1;
    if (error.type === Player.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else setTimeout(() => hls.startLoad(), 500);
  });
  video.addEventListener('ended', on.ended, { once: true });
  hls.loadSource(url);
  hls.attachMedia(video);
  begin(video);
  const timer = setInterval(() => {
    const { latency, targetLatency, liveSyncPosition } = hls;
    if (video.paused || targetLatency === null || liveSyncPosition === null) return;
    if (latency - targetLatency > tooLate && video.playbackRate === 1) video.currentTime = liveSyncPosition;
  }, lookEvery);

  function stop(): void {
    clearInterval(timer);
    video.removeEventListener('ended', on.ended);
    hls.destroy();
  }
  function end(tell: () => void): void {
    stop();
    tell();
  }
  return stop;
}

/** Begins to play. Without a click a browser lets pictures move only without sound. */
export function begin(video: HTMLVideoElement): void {
  video.play().catch((error: unknown) => {
    if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return;
    video.muted = true;
    video.play().catch(() => {});
  });
}
