/// <reference types="vite/client" />
import type { HostBridge } from '../src-shared/host-bridge.ts';

declare global {
  interface Window {
    /** Put there by the preload script of the desktop's shell; absent in a browser. */
    readonly extrachainHost?: HostBridge;
  }
}
