/** Cameras, microphones, screens and files as the browser gives them, and what goes wrong with them. */

/** Why a device or a file could not be had; each has its sentence in the messages. */
export type SourceTrouble =
  'refused' | 'none' | 'busy' | 'lost' | 'cancelled' | 'unreadable' | 'unsupported' | 'failed';

export type Wanted = 'camera' | 'microphone' | 'screen' | 'file' | 'image';

export class SourceError extends Error {
  readonly wanted: Wanted;
  readonly trouble: SourceTrouble;
  constructor(wanted: Wanted, trouble: SourceTrouble, cause?: unknown) {
    super(`${wanted}: ${trouble}`, { cause });
    this.wanted = wanted;
    this.trouble = trouble;
  }
}

/** The browser's names for what can go wrong with a device (Media Capture and Streams). */
export function troubleOf(wanted: Wanted, name: string): SourceTrouble {
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
      // Closing the dialog that asks for a screen is called the same as forbidding it.
      return wanted === 'screen' ? 'cancelled' : 'refused';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'none';
    case 'NotReadableError':
    case 'AbortError':
      return 'busy';
    case 'NotSupportedError':
    case 'TypeError':
      return 'unsupported';
    default:
      return 'failed';
  }
}

const fail = (wanted: Wanted, error: unknown): never => {
  throw new SourceError(wanted, troubleOf(wanted, error instanceof Error ? error.name : ''), error);
};

export async function openCamera(
  deviceId: string | null,
  size: { width: number; height: number; fps: number },
): Promise<MediaStream> {
  if (!navigator.mediaDevices) throw new SourceError('camera', 'unsupported');
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: {
        width: { ideal: size.width },
        height: { ideal: size.height },
        frameRate: { ideal: size.fps },
        ...(deviceId !== null && { deviceId: { exact: deviceId } }),
      },
    });
  } catch (error) {
    return fail('camera', error);
  }
}

/** @param plain without what makes voices clear and spoils music */
export async function openMicrophone(deviceId: string | null, plain: boolean): Promise<MediaStream> {
  if (!navigator.mediaDevices) throw new SourceError('microphone', 'unsupported');
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: {
        echoCancellation: !plain,
        noiseSuppression: !plain,
        autoGainControl: !plain,
        ...(deviceId !== null && { deviceId: { exact: deviceId } }),
      },
    });
  } catch (error) {
    return fail('microphone', error);
  }
}

/** A screen or a window that the person chooses, with the computer's sound where the browser gives it. */
export async function openScreen(fps: number): Promise<MediaStream> {
  if (!navigator.mediaDevices?.getDisplayMedia) throw new SourceError('screen', 'unsupported');
  try {
    return await navigator.mediaDevices.getDisplayMedia({
      video: { frameRate: { ideal: fps } },
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    return fail('screen', error);
  }
}

/** A video or sound file that plays by itself, again and again. */
export async function openFile(
  file: File,
  context: AudioContext,
): Promise<{
  element: HTMLVideoElement;
  video: MediaStreamTrack | null;
  sound: AudioNode;
  close: () => void;
}> {
  const element = document.createElement('video');
  const url = URL.createObjectURL(file);
  element.src = url;
  element.loop = true;
  element.playsInline = true;
  const close = (): void => {
    element.pause();
    element.removeAttribute('src');
    element.load();
    URL.revokeObjectURL(url);
  };
  try {
    await element.play();
    const sound = new MediaElementAudioSourceNode(context, { mediaElement: element });
    return { element, video: element.captureStream().getVideoTracks()[0] ?? null, sound, close };
  } catch (error) {
    close();
    throw new SourceError('file', 'unreadable', error);
  }
}

export async function openImage(file: File): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file);
  } catch (error) {
    throw new SourceError('image', 'unreadable', error);
  }
}

export interface Devices {
  readonly cameras: readonly MediaDeviceInfo[];
  readonly microphones: readonly MediaDeviceInfo[];
}

export async function listDevices(): Promise<Devices> {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  // Before a permission is given the devices are there without a name or an id.
  const named = (kind: MediaDeviceKind) => all.filter((one) => one.kind === kind && one.deviceId !== '');
  return { cameras: named('videoinput'), microphones: named('audioinput') };
}
