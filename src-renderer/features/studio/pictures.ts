import { computed, reactive, ref, shallowReactive } from 'vue';
import type { ComputedRef, Ref } from 'vue';
import type { ToWorker } from './engine/messages.ts';
import { openCamera, openFile, openImage, openScreen } from './engine/media.ts';
import type { Devices, SourceTrouble, Wanted } from './engine/media.ts';
import type { Mixer } from './engine/mixer.ts';
import { widthOf } from './plan.ts';
import type { Quality } from './plan.ts';
import { moved, placements, whole } from './scenes.ts';
import type { Item, Scene } from './scenes.ts';
import type { SoundBoard } from './sound.ts';

interface OpenSource {
  readonly kind: Item['kind'];
  readonly deviceId: string | null;
  readonly stop: () => void;
  size: string;
  lost: boolean;
}

/** Scenes, what is in them, and the cameras, screens and files behind that. */
export interface Pictures {
  readonly scenes: Scene[];
  /** The id of the scene that is sent. */
  readonly shown: Ref<string>;
  readonly scene: ComputedRef<Scene>;
  readonly selected: Ref<string | null>;
  readonly item: ComputedRef<Item | null>;
  /** Sources of which nothing comes any more. */
  readonly lost: Set<string>;
  /** Opens a source and puts it into the scene that is shown; never throws. */
  addCamera(deviceId?: string | null, name?: string): Promise<void>;
  addScreen(): Promise<void>;
  addFile(file: File): Promise<void>;
  addImage(file: File): Promise<void>;
  addText(): void;
  /** Opens a camera for what is in the scenes already. @throws SourceError */
  startCamera(source: string, deviceId: string | null): Promise<void>;
  /** Nothing comes from it any more. */
  lose(source: string): void;
  /** Cameras that were gone and are there again go on. */
  findLost(devices: Devices): Promise<void>;
  /** Takes other scenes in place of those there are. */
  replace(scenes: readonly Scene[], shown: string): void;
  removeItem(id: string): void;
  moveItem(id: string, by: Parameters<typeof moved>[1]): void;
  raise(id: string, by: -1 | 1): void;
  addScene(): void;
  removeScene(id: string): void;
  show(id: string): void;
}

export function createPictures(deps: {
  readonly say: (message: ToWorker, transfer?: Transferable[]) => void;
  readonly quality: Ref<Quality>;
  readonly title: Ref<string>;
  readonly sound: SoundBoard;
  readonly ensureMixer: () => Promise<Mixer>;
  readonly newId: (kind: string) => string;
  /** What a kind of source is called. */
  readonly name: (kind: 'camera' | 'screen' | 'system' | 'text') => string;
  readonly trouble: (wanted: Wanted, what: SourceTrouble) => void;
  readonly notice: (id: string, key: string, detail?: string, serious?: boolean) => void;
  readonly dismiss: (id: string) => void;
  readonly failed: (error: unknown) => void;
  /** Devices may have names now. */
  readonly opened: () => void;
}): Pictures {
  const scenes = reactive<Scene[]>([{ id: deps.newId('scene'), name: '', items: [] }]);
  const shown = ref(scenes[0]!.id);
  const selected = ref<string | null>(null);
  const sources = shallowReactive(new Map<string, OpenSource>());
  const lost = reactive(new Set<string>());
  const scene = computed(() => scenes.find(({ id }) => id === shown.value) ?? scenes[0]!);
  const item = computed(() => scene.value.items.find(({ id }) => id === selected.value) ?? null);

  function put(kind: Item['kind'], source: string, name: string): Item {
    const first = scene.value.items.every((one) => one.kind === 'text' || one.kind === 'image');
    const one: Item = {
      id: deps.newId('item'),
      kind,
      name,
      source,
      box: { ...(first || kind === 'text' ? whole : placements.topRight) },
      fit: kind === 'screen' || kind === 'image' ? 'contain' : 'cover',
      visible: true,
      title: '',
      line: '',
    };
    if (kind === 'text')
      Object.assign(one, { box: { x: 0.035, y: 0.8, width: 0.6, height: 0.15 }, title: name });
    if (kind === 'image') one.box = { x: 0.82, y: 0.05, width: 0.14, height: 0.14 };
    // What fills the picture lies behind what is there.
    if (first && kind !== 'text' && kind !== 'image') scene.value.items.push(one);
    else scene.value.items.unshift(one);
    selected.value = one.id;
    return one;
  }

  function attach(source: string, track: MediaStreamTrack, open: Omit<OpenSource, 'size' | 'lost'>): void {
    const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: 2 });
    deps.say({ kind: 'video', source, frames: readable }, [readable as unknown as Transferable]);
    track.addEventListener('ended', () => lose(source));
    sources.set(source, { ...open, size: '', lost: false });
    lost.delete(source);
  }

  /** A camera was unplugged, a shared window closed: said at once, the stream goes on without it. */
  function lose(source: string): void {
    const open = sources.get(source);
    if (!open || lost.has(source)) return;
    lost.add(source);
    deps.say({ kind: 'forget', source });
    if (open.kind === 'camera') deps.trouble('camera', 'lost');
    else if (open.kind === 'screen') deps.notice('screen-lost', 'studio.trouble.screen.lost', '', false);
    else deps.notice('file-lost', 'studio.trouble.file.lost');
  }

  async function addCamera(deviceId: string | null = null, name = ''): Promise<void> {
    try {
      const source = `camera:${deviceId ?? ''}`;
      if (!sources.has(source) || lost.has(source)) await startCamera(source, deviceId);
      put('camera', source, name || deps.name('camera'));
    } catch (error) {
      deps.failed(error);
    }
    deps.opened();
  }
  async function startCamera(source: string, deviceId: string | null): Promise<void> {
    const { height, fps } = deps.quality.value;
    const stream = await openCamera(deviceId, { width: widthOf(height), height, fps });
    const track = stream.getVideoTracks()[0]!;
    attach(source, track, { kind: 'camera', deviceId, stop: () => track.stop() });
    deps.dismiss('camera-lost');
    deps.dismiss('camera-none');
    deps.dismiss('camera-refused');
    deps.dismiss('camera-busy');
  }
  async function addScreen(): Promise<void> {
    try {
      const stream = await openScreen(deps.quality.value.fps);
      const source = deps.newId('screen');
      const track = stream.getVideoTracks()[0]!;
      track.contentHint = 'detail';
      attach(source, track, {
        kind: 'screen',
        deviceId: null,
        stop: () => stream.getTracks().forEach((one) => one.stop()),
      });
      put('screen', source, deps.name('screen'));
      if (stream.getAudioTracks().length > 0) {
        const mix = await deps.ensureMixer();
        const id = deps.newId('system');
        mix.add(id, new MediaStreamAudioSourceNode(mix.context, { mediaStream: stream }), 1);
        deps.sound.addChannel(id, 'system', deps.name('system'));
      }
    } catch (error) {
      deps.failed(error);
    }
  }
  async function addFile(file: File): Promise<void> {
    try {
      const mix = await deps.ensureMixer();
      const { video, sound, close } = await openFile(file, mix.context);
      const source = deps.newId('file');
      if (video) {
        attach(source, video, { kind: 'file', deviceId: null, stop: close });
        put('file', source, file.name);
      }
      mix.add(source, sound, 1);
      deps.sound.addChannel(source, 'file', file.name);
    } catch (error) {
      deps.failed(error);
    }
  }
  async function addImage(file: File): Promise<void> {
    try {
      const bitmap = await openImage(file);
      const source = deps.newId('image');
      sources.set(source, { kind: 'image', deviceId: null, stop: () => {}, size: '', lost: false });
      deps.say({ kind: 'image', source, bitmap }, [bitmap]);
      put('image', source, file.name);
    } catch (error) {
      deps.failed(error);
    }
  }
  function addText(): void {
    put('text', '', deps.name('text')).title = deps.title.value || deps.name('text');
  }
  function removeItem(id: string): void {
    const at = scene.value.items.findIndex((one) => one.id === id);
    const [gone] = at < 0 ? [] : scene.value.items.splice(at, 1);
    if (selected.value === id) selected.value = null;
    if (gone) release(gone.source);
  }
  /** Lets a source go that no scene shows any more. */
  function release(source: string): void {
    if (source === '' || scenes.some(({ items }) => items.some((one) => one.source === source))) return;
    sources.get(source)?.stop();
    sources.delete(source);
    deps.say({ kind: 'forget', source });
    if (deps.sound.channels.some(({ id }) => id === source)) deps.sound.removeChannel(source);
  }
  function moveItem(id: string, by: Parameters<typeof moved>[1]): void {
    const one = scene.value.items.find((each) => each.id === id);
    if (one) one.box = moved(one.box, by);
  }
  function raise(id: string, by: -1 | 1): void {
    const { items } = scene.value;
    const at = items.findIndex((one) => one.id === id);
    const to = at + by;
    if (at < 0 || to < 0 || to >= items.length) return;
    const [one] = items.splice(at, 1);
    items.splice(to, 0, one!);
  }
  function addScene(): void {
    scenes.push({ id: deps.newId('scene'), name: '', items: [] });
    shown.value = scenes.at(-1)!.id;
    selected.value = null;
  }
  function removeScene(id: string): void {
    if (scenes.length === 1) return;
    const at = scenes.findIndex((one) => one.id === id);
    const [gone] = at < 0 ? [] : scenes.splice(at, 1);
    if (shown.value === id) shown.value = scenes[Math.max(0, at - 1)]!.id;
    for (const { source } of gone?.items ?? []) release(source);
  }
  function show(id: string): void {
    shown.value = id;
    selected.value = null;
  }

  async function findLost(devices: Devices): Promise<void> {
    // A camera that is plugged in again comes back by itself.
    for (const source of lost) {
      const open = sources.get(source);
      if (open?.kind !== 'camera') continue;
      if (!devices.cameras.some((one) => open.deviceId === null || one.deviceId === open.deviceId)) continue;
      await startCamera(source, open.deviceId).catch(() => {});
    }
  }

  return {
    scenes,
    shown,
    scene,
    selected,
    item,
    lost,
    addCamera,
    addScreen,
    addFile,
    addImage,
    addText,
    startCamera,
    lose,
    findLost,
    replace(others, now) {
      scenes.splice(0, scenes.length, ...others);
      shown.value = now;
    },
    removeItem,
    moveItem,
    raise,
    addScene,
    removeScene,
    show,
  };
}
