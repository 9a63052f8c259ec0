import { contextBridge, ipcRenderer, webUtils } from 'electron';
import type { HostBridge } from '../../src-shared/host-bridge.ts';
import { hostPortMessage } from '../../src-shared/host-bridge.ts';

// One port goes to the main process, its other end to the page. Neither `ipcRenderer` nor anything else of Electron
// gets there; what the page may ask for is the contract, and the main process checks who asks.
const bridge: HostBridge = {
  connect() {
    const { port1, port2 } = new MessageChannel();
    ipcRenderer.postMessage(hostPortMessage, null, [port2]);
    window.postMessage(hostPortMessage, window.origin, [port1]);
  },
  pathOf: (file) => (file instanceof File ? webUtils.getPathForFile(file) : ''),
};

contextBridge.exposeInMainWorld('extrachainHost', bridge);
