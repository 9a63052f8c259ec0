import { reactive } from 'vue';
import type { Ref } from 'vue';
import { openMicrophone } from './engine/media.ts';
import type { Mixer } from './engine/mixer.ts';

export interface SoundChannel {
  readonly id: string;
  readonly kind: 'microphone' | 'system' | 'file';
  name: string;
  /** 0 to 1.5 of the original. */
  volume: number;
  muted: boolean;
  lost: boolean;
}

/** A microphone as it is opened again. */
export interface MicrophoneSetting {
  readonly deviceId: string | null;
  readonly name: string;
  readonly volume: number;
  readonly muted: boolean;
}

/** The channels of the mixer as a person sees them: microphones, and the sound of screens and files. */
export interface SoundBoard {
  readonly channels: SoundChannel[];
  /** Opens a microphone; never throws. `name`: what it is called, '' for what microphones are called. */
  addMicrophone(deviceId?: string | null, name?: string): Promise<void>;
  /** Shows the sound of a screen or a file that the mixer has under this id. */
  addChannel(id: string, kind: 'system' | 'file', name: string): void;
  removeChannel(id: string): void;
  setVolume(id: string, volume: number): void;
  mute(id: string, on: boolean): void;
  /** Level now and its peak, dB. */
  level(id: string): ReturnType<Mixer['level']>;
  /** What is needed to open the microphones again. */
  microphones(): MicrophoneSetting[];
}

export function createSoundBoard(deps: {
  /** Null before anything sounded. */
  readonly mixer: () => Mixer | null;
  readonly ensureMixer: () => Promise<Mixer>;
  readonly music: Ref<boolean>;
  readonly newId: (kind: string) => string;
  readonly microphoneName: () => string;
  /** A microphone was unplugged. */
  readonly lost: () => void;
  readonly failed: (error: unknown) => void;
  /** Devices may have names now. */
  readonly opened: () => void;
}): SoundBoard {
  const channels = reactive<SoundChannel[]>([]);
  async function addMicrophone(deviceId: string | null = null, name = ''): Promise<void> {
    try {
      const stream = await openMicrophone(deviceId, deps.music.value);
      const mix = await deps.ensureMixer();
      const id = deps.newId('microphone');
      mix.add(id, new MediaStreamAudioSourceNode(mix.context, { mediaStream: stream }), 1);
      channels.push({
        id,
        kind: 'microphone',
        name: name || deps.microphoneName(),
        volume: 1,
        muted: false,
        lost: false,
      });
      stream.getAudioTracks()[0]!.addEventListener('ended', () => {
        const channel = channels.find((one) => one.id === id);
        if (!channel) return;
        channel.lost = true;
        deps.lost();
      });
      stops.set(id, () => stream.getTracks().forEach((one) => one.stop()));
      devices.set(id, deviceId);
    } catch (error) {
      deps.failed(error);
    }
    deps.opened();
  }
  const stops = new Map<string, () => void>();
  /** Which microphone a channel is of. */
  const devices = new Map<string, string | null>();
  function removeChannel(id: string): void {
    const at = channels.findIndex((one) => one.id === id);
    if (at >= 0) channels.splice(at, 1);
    deps.mixer()?.remove(id);
    stops.get(id)?.();
    stops.delete(id);
    devices.delete(id);
  }
  function setVolume(id: string, volume: number): void {
    const channel = channels.find((one) => one.id === id);
    if (!channel) return;
    channel.volume = volume;
    deps.mixer()?.setVolume(id, channel.muted ? 0 : volume);
  }
  function mute(id: string, on: boolean): void {
    const channel = channels.find((one) => one.id === id);
    if (!channel) return;
    channel.muted = on;
    deps.mixer()?.setVolume(id, on ? 0 : channel.volume);
  }
  const level = (id: string) => deps.mixer()?.level(id) ?? { now: -100, peak: -100 };

  return {
    channels,
    addMicrophone,
    addChannel: (id, kind, name) =>
      void channels.push({ id, kind, name, volume: 1, muted: false, lost: false }),
    removeChannel,
    setVolume,
    mute,
    level,
    microphones: () =>
      channels.flatMap(({ id, kind, name, volume, muted }) =>
        kind === 'microphone' ? [{ deviceId: devices.get(id) ?? null, name, volume, muted }] : [],
      ),
  };
}
