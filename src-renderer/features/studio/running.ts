import type { LivePlan } from './engine/messages.ts';
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
