/**
 * Draws the scenes, encodes and sends them, away from the page: the page may be busy or hidden, the stream goes on. Talks in the
 * messages of `messages.ts`.
 */
import { createBroadcast } from './broadcast.ts';
import type { Broadcast } from './broadcast.ts';
import { createCompositor } from './compositor.ts';
import { probeEncoders } from './encoders.ts';
import type { FromWorker, LivePlan, SceneDrawing, ToWorker } from './messages.ts';
import { cover, makeStill } from './still.ts';

/** What a worker's global scope has of what is used here; the types of the DOM know only windows. */
interface Scope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
}
const scope = globalThis as unknown as Scope;
const say = (message: FromWorker, transfer: Transferable[] = []): void =>
  scope.postMessage(message, transfer);

const idleFps = 15;
const thumbEvery = 2000;
const thumbSize = { width: 112, height: 64 };

const compositor = createCompositor();
const readers = new Map<string, ReadableStreamDefaultReader<VideoFrame>>();
let canvas = new OffscreenCanvas(1280, 720);
let context = canvas.getContext('2d', { alpha: false, desynchronized: true })!;
let fps = 30;
let scenes: readonly SceneDrawing[] = [];
let shown = '';
let preview: { canvas: OffscreenCanvas; context: OffscreenCanvasRenderingContext2D } | null = null;
let soundPort: MessagePort | null = null;
let broadcast: Broadcast | null = null;
let small: { canvas: OffscreenCanvas; context: OffscreenCanvasRenderingContext2D }[] = [];
let lastPreview = 0;
let lastThumb = 0;
let nextThumb = 0;
let lastHealth = 0;

const scene = (): SceneDrawing | undefined => scenes.find(({ id }) => id === shown);

/** Keeps the newest picture of a camera or screen; those before it are let go at once. */
async function read(source: string, frames: ReadableStream<VideoFrame>): Promise<void> {
  await stopReading(source);
  const reader = frames.getReader();
  readers.set(source, reader);
  let size = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (readers.get(source) !== reader) {
        value.close();
        return;
      }
      const now = `${value.displayWidth}x${value.displayHeight}`;
      if (now !== size) {
        size = now;
        say({ kind: 'sourceSize', source, width: value.displayWidth, height: value.displayHeight });
      }
      compositor.put(source, value);
    }
  } catch {
    // The same as its end: the device is gone.
  }
  if (readers.get(source) !== reader) return;
  readers.delete(source);
  say({ kind: 'sourceEnded', source });
}

async function stopReading(source: string): Promise<void> {
  const reader = readers.get(source);
  readers.delete(source);
  await reader?.cancel().catch(() => {});
}

function drawPreview(now: number): void {
  if (!preview || now - lastPreview < 1000 / idleFps - 4) return;
  lastPreview = now;
  preview.context.drawImage(canvas, 0, 0, preview.canvas.width, preview.canvas.height);
}

/** One scene at a time, small, for the list of scenes. */
function drawThumb(now: number): void {
  if (preview === null || scenes.length === 0 || now - lastThumb < thumbEvery / scenes.length) return;
  lastThumb = now;
  nextThumb = (nextThumb + 1) % scenes.length;
  const one = scenes[nextThumb]!;
  const drawn = new OffscreenCanvas(thumbSize.width, thumbSize.height);
  compositor.draw(drawn.getContext('2d', { alpha: false })!, one, thumbSize.width, thumbSize.height);
  const bitmap = drawn.transferToImageBitmap();
  say({ kind: 'thumb', scene: one.id, bitmap }, [bitmap]);
}

function tick(): void {
  const now = performance.now();
  let wait: number;
  if (broadcast) {
    let drawn = false;
    broadcast.beat(now, (timestamp, rendition) => {
      const whole = rendition === 0 ? compositor.whole(scene(), canvas.width, canvas.height) : null;
      if (whole && !preview) return new VideoFrame(whole, { timestamp });
      if (!drawn) {
        compositor.draw(context, scene(), canvas.width, canvas.height);
        drawn = true;
      }
      if (rendition === 0) return new VideoFrame(canvas, { timestamp });
      const lower = small[rendition - 1];
      if (!lower) return null;
      lower.context.drawImage(canvas, 0, 0, lower.canvas.width, lower.canvas.height);
      return new VideoFrame(lower.canvas, { timestamp });
    });
    if (drawn) drawPreview(now);
    if (now - lastHealth >= 500) {
      lastHealth = now;
      say({ kind: 'health', health: broadcast.health(now) });
    }
    wait = broadcast.next() - performance.now();
  } else {
    if (preview) {
      compositor.draw(context, scene(), canvas.width, canvas.height);
      drawPreview(now);
    }
    wait = 1000 / idleFps - (performance.now() - now);
  }
  drawThumb(now);
  setTimeout(tick, Math.max(1, wait));
}

function goLive(plan: LivePlan): void {
  const start = performance.now();
  small = plan.videos.slice(1).map(({ width, height }) => {
    const lower = new OffscreenCanvas(width, height);
    return { canvas: lower, context: lower.getContext('2d', { alpha: false })! };
  });
  try {
    broadcast = createBroadcast({
      plan,
      start,
      startUnix: performance.timeOrigin + start,
      now: () => performance.now(),
      onReady: (renditions) => say({ kind: 'ready', renditions }),
      onBegan: () => say({ kind: 'began' }),
      onTrouble: (trouble, detail) => say({ kind: 'trouble', trouble, detail }),
    });
  } catch (error) {
    say({ kind: 'trouble', trouble: 'encoder_failed', detail: error instanceof Error ? error.message : '' });
  }
}

async function still(of: ImageBitmap | null): Promise<void> {
  const bytes = await makeStill((target, width, height) => {
    if (of) cover(target, of, width, height);
    else if ((scene()?.layers.length ?? 0) === 0) return false;
    else compositor.draw(target, scene(), width, height);
    return true;
  }).catch(() => null);
  of?.close();
  say({ kind: 'still', bytes }, bytes ? [bytes.buffer] : []);
}

async function end(): Promise<void> {
  const ending = broadcast;
  broadcast = null;
  await ending?.end();
  say({ kind: 'ended' });
}

scope.onmessage = ({ data }) => {
  switch (data.kind) {
    case 'canvas':
      if (broadcast) return;
      fps = data.fps;
      canvas = new OffscreenCanvas(data.width, data.height);
      context = canvas.getContext('2d', { alpha: false, desynchronized: true })!;
      return;
    case 'scenes':
      ({ scenes, shown } = data);
      return;
    case 'video':
      void read(data.source, data.frames);
      return;
    case 'image':
      compositor.put(data.source, data.bitmap);
      return;
    case 'forget':
      void stopReading(data.source);
      compositor.forget(data.source);
      return;
    case 'preview':
      preview = data.canvas && {
        canvas: data.canvas,
        context: data.canvas.getContext('2d', { alpha: false })!,
      };
      lastPreview = 0;
      return;
    case 'sound':
      soundPort?.close();
      soundPort = data.port;
      soundPort.onmessage = ({ data: planes }: MessageEvent<Float32Array[]>) =>
        broadcast?.sound(planes, performance.now());
      return;
    case 'live':
      goLive({ ...data.plan, fps: data.plan.fps || fps });
      return;
    case 'ingest':
      broadcast?.ingest(data.url);
      return;
    case 'end':
      void end();
      return;
    case 'still':
      void still(data.of);
      return;
    case 'probe':
      void probeEncoders().then((results) => say({ kind: 'probed', call: data.call, results }));
  }
};
tick();
