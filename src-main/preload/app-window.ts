import { contextBridge, ipcRenderer } from 'electron';
import { appPortMessage, type AppCarrier } from '../../src-shared/app-bridge.ts';

// One port goes to the main process, which knows by the window whose page it is. The page itself gets functions for text and
// nothing of Electron.
let port: MessagePort | null = null;

const carrier: AppCarrier = {
  connect(onMessage, onClose) {
    port?.close();
    const { port1, port2 } = new MessageChannel();
    port = port1;
    port1.addEventListener('message', ({ data }) => onMessage(String(data)));
    port1.addEventListener('close', () => {
      if (port === port1) port = null;
      onClose();
    });
    port1.start();
    ipcRenderer.postMessage(appPortMessage, null, [port2]);
  },
  send: (text) => port?.postMessage(text),
};

contextBridge.exposeInMainWorld('extrachainCarrier', carrier);
