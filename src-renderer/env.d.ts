/// <reference types="vite/client" />
import type { HostBridge } from '../src-shared/host-bridge.ts';

declare global {
  /** Pictures of a track, one after another; Chromium has it, the types of the DOM do not know it yet. */
  class MediaStreamTrackProcessor {
    constructor(init: { track: MediaStreamTrack; maxBufferSize?: number });
    readonly readable: ReadableStream<VideoFrame>;
  }
  interface HTMLMediaElement {
    captureStream(): MediaStream;
  }
  interface Window {
    /** Put there by the preload script of the desktop's shell; absent in a browser. */
    readonly extrachainHost?: HostBridge;
  }
}
