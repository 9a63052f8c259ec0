import type { StreamSummary } from '../../../src-shared/contract/index.ts';
import type { LivePlan } from './engine/messages.ts';
import { heights, pictureSpare, soundSpare } from './plan.ts';
import type { Quality } from './plan.ts';
import type { Scene } from './scenes.ts';

/** What a window needs to take up its stream again after it was loaded anew. */
export interface Running {
  readonly streamId: string;
  readonly link: string;
  readonly plan: LivePlan;
  readonly quality: Quality;
  readonly title: string;
  readonly audience: 'public' | 'unlisted' | 'private';
  readonly invited: readonly string[];
  readonly record: string | null;
  readonly startedAt: number;
  readonly scenes: readonly Scene[];
  readonly shown: string;
  readonly microphones: readonly {
    readonly deviceId: string | null;
    readonly name: string;
    readonly volume: number;
    readonly muted: boolean;
  }[];
}

const place = 'extrachain.studio.running';

/** Null also where what is kept is of another version of the program. */
export function readRunning(): Running | null {
  try {
    const found = JSON.parse(localStorage.getItem(place) ?? 'null') as Running | null;
    const isWhole = found !== null && Array.isArray(found.scenes) && Array.isArray(found.plan.videos);
    return isWhole ? found : null;
  } catch {
    return null;
  }
}

export function keepRunning(running: Running | null): void {
  try {
    if (running === null) localStorage.removeItem(place);
    else localStorage.setItem(place, JSON.stringify(running));
  } catch {
    // Without storage the stream can't be taken up again, which is no reason not to send it.
  }
}

/**
 * An own stream that nobody sends at the moment, as a window can go on with it that has not begun it: its node was started anew, and the page
 * has another address since. Cameras are chosen again. Null for what a studio did not make.
 */
export function runningOf(stream: StreamSummary): Running | null {
  const sound = stream.renditions.find(({ id, codecs }) => id === 'audio' && codecs === 'opus');
  if (!stream.own || !stream.away || stream.state !== 'live' || !sound) return null;
  const audioBitrate = Math.round(sound.bandwidth / soundSpare);
  const pictures = stream.renditions.filter(({ kind }) => kind === 'av');
  const videos = pictures.flatMap(({ id, codecs, width, height, bandwidth }) =>
    width !== undefined && height !== undefined
      ? [
          {
            id,
            codec: codecs.split(',')[0]!,
            width,
            height,
            bitrate: Math.round((bandwidth - audioBitrate) / pictureSpare),
          },
        ]
      : [],
  );
  const [best, second] = videos;
  const height = heights.find((one) => one === best?.height);
  const fps = ([15, 30, 60] as const).find((one) => one === pictures[0]?.frameRate);
  if (!best || videos.length < pictures.length || height === undefined || fps === undefined) return null;
  const family = best.codec.startsWith('avc1') ? 'h264' : best.codec.startsWith('vp09') ? 'vp9' : 'av1';
  const scene = { id: 'scene', name: '', items: [] };
  return {
    streamId: stream.streamId,
    link: stream.link,
    plan: { videos, audioBitrate, fps },
    quality: { family, height, fps, bitrate: best.bitrate, second: second !== undefined },
    title: stream.title,
    audience: stream.audience,
    invited: [],
    record: stream.recording?.driveId ?? null,
    startedAt: Date.parse(stream.startedAt),
    scenes: [scene],
    shown: scene.id,
    microphones: [],
  };
}

/**
 * The scenes as far as they can be had again: cameras by their device, words as they are. Screens are asked for anew, files and pictures are
 * the person's to choose.
 */
export function scenesAgain(
  { scenes, shown }: Running,
  newId: (kind: string) => string,
): {
  readonly scenes: Scene[];
  readonly shown: string;
  readonly cameras: readonly string[];
  readonly screen: boolean;
} {
  const cameras = new Set<string>();
  let screen = false;
  let now = '';
  const again = scenes.map((scene): Scene => {
    const id = newId('scene');
    if (scene.id === shown) now = id;
    const items = scene.items.flatMap((item) => {
      if (item.kind === 'screen') screen ||= scene.id === shown;
      if (item.kind === 'camera') cameras.add(item.source);
      return item.kind === 'camera' || item.kind === 'text' ? [{ ...item, id: newId('item') }] : [];
    });
    return { ...scene, id, items };
  });
  return { scenes: again, shown: now || (again[0]?.id ?? ''), cameras: [...cameras], screen };
}
