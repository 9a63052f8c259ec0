import type * as Electron from 'electron';
import { EventEmitter, once } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { contract } from '../../src-shared/contract/index.ts';
import type { AppContract } from '../../src-shared/contract/index.ts';
import { hostPortMessage } from '../../src-shared/host-bridge.ts';
import { connect, messagePortCarrier } from '../../src-shared/rpc/index.ts';
import type { Connection } from '../../src-shared/rpc/index.ts';
import { systemClock } from '../platform/index.ts';
import type { ElectronParts } from './electron-parts.ts';

type Handler = (request: Request) => Promise<Response> | Response;

/** A stand-in for Electron, for tests of the shell: it keeps what it was told and lets a test play the system's part. */
export function createFakeElectron(options: { readonly keyring?: boolean } = {}) {
  const schemes = new Map<string, Handler>();
  const guards: Record<string, (...args: never[]) => unknown> = {};
  const told = {
    sandbox: false,
    privileged: [] as string[],
    notifications: [] as string[],
    errors: [] as string[],
    opened: [] as string[],
    downloads: [] as string[],
    exitCode: null as number | null,
    menus: [] as { label?: string; click?: () => void }[][],
    picked: null as string | null,
  };
  const windows: FakeWindow[] = [];

  class FakeApp extends EventEmitter {
    isPackaged = false;
    enableSandbox = () => (told.sandbox = true);
    setPath = () => {};
    requestSingleInstanceLock = () => true;
    whenReady = () => Promise.resolve();
    getLocale = () => 'en-GB';
    getVersion = () => '0.0.0';
    /** Kilobytes by process. */
    workingSets = new Map<number, number>();
    getAppMetrics = () =>
      [...this.workingSets].map(([pid, workingSetSize]) => ({ pid, memory: { workingSetSize } }));
    setAsDefaultProtocolClient = () => true;
    quit = () => {
      const event = { prevented: false, preventDefault: () => (event.prevented = true) };
      this.emit('before-quit', event);
      if (!event.prevented) this.exit(0);
    };
    exit = (code = 0) => {
      told.exitCode ??= code;
      this.emit('exited');
    };
  }
  const app = new FakeApp();

  let pids = 0;
  class FakeContents extends EventEmitter {
    mainFrame = { url: '', parent: null };
    openHandler: ((details: { url: string }) => { action: string }) | null = null;
    setWindowOpenHandler = (handler: (details: { url: string }) => { action: string }) => {
      this.openHandler = handler;
    };
    rtcPolicy = '';
    setWebRTCIPHandlingPolicy = (policy: string) => void (this.rtcPolicy = policy);
    downloadURL = (url: string) => void told.downloads.push(url);
    startDrag = () => {};
    pid = (pids += 1);
    getOSProcessId = () => this.pid;
  }

  class FakeWindow extends EventEmitter {
    webContents = new FakeContents();
    visible = false;
    destroyed = false;
    readonly settings: Electron.BrowserWindowConstructorOptions;
    constructor(settings: Electron.BrowserWindowConstructorOptions) {
      super();
      this.settings = settings;
      windows.push(this);
    }
    async loadURL(url: string) {
      this.webContents.mainFrame.url = url;
      await schemes.get(new URL(url).protocol.slice(0, -1))?.(new Request(url));
      this.emit('ready-to-show');
    }
    show() {
      this.visible = true;
    }
    hide() {
      this.visible = false;
    }
    focus() {}
    isFocused = () => this.visible;
    isVisible = () => this.visible;
    isMinimized = () => false;
    /** The person clicks on the cross. */
    clickClose() {
      const event = { prevented: false, preventDefault: () => (event.prevented = true) };
      this.emit('close', event);
      if (!event.prevented) this.destroy();
    }
    destroy() {
      if (this.destroyed) return;
      this.destroyed = true;
      this.visible = false;
      this.emit('closed');
      if (windows.every((one) => one.destroyed)) app.emit('window-all-closed');
    }
  }

  class FakeNotification extends EventEmitter {
    static isSupported = () => true;
    readonly text: string;
    constructor({ title, body }: { title: string; body: string }) {
      super();
      this.text = `${title}: ${body}`;
    }
    show = () => void told.notifications.push(this.text);
  }

  class FakeTray extends EventEmitter {
    setImage() {}
    setToolTip() {}
    setContextMenu() {}
    destroy() {}
  }

  /** A session of its own for each partition; keeps what it was told. */
  class FakeSession extends EventEmitter {
    readonly handlers = new Map<string, Handler>();
    proxy: unknown = null;
    request: ((details: { url: string }, answer: (what: { cancel: boolean }) => void) => void) | null = null;
    permission: ((...args: never[]) => void) | null = null;
    readonly protocol = {
      isProtocolHandled: (scheme: string) => this.handlers.has(scheme),
      handle: (scheme: string, handler: Handler) => void this.handlers.set(scheme, handler),
    };
    readonly webRequest = {
      onBeforeRequest: (listener: NonNullable<FakeSession['request']>) => void (this.request = listener),
    };
    setProxy = async (proxy: unknown) => void (this.proxy = proxy);
    setPermissionRequestHandler = (handler: (...args: never[]) => void) => void (this.permission = handler);
    setPermissionCheckHandler = () => {};
    setDevicePermissionHandler = () => {};
    setBluetoothPairingHandler = () => {};
    /** As Electron: a choice without the picture that was asked for throws, `null` refuses. */
    screen: ((request: object, answer: (choice: { video?: unknown } | null) => void) => void) | null = null;
    setDisplayMediaRequestHandler = (handler: NonNullable<FakeSession['screen']>) =>
      void (this.screen = handler);
  }
  const sessions = new Map<string, FakeSession>();

  const guard = (name: string) => (handler: (...args: never[]) => unknown) => void (guards[name] = handler);
  const secret = (text: string) => Buffer.from(text).reverse();
  const electron = {
    app,
    BrowserWindow: FakeWindow,
    Notification: FakeNotification,
    Tray: FakeTray,
    Menu: {
      buildFromTemplate: (template: { label?: string; click?: () => void }[]) => {
        told.menus.push(template);
        return template;
      },
      setApplicationMenu: () => {},
    },
    nativeImage: { createFromPath: () => ({}) },
    crashReporter: { start: () => {} },
    desktopCapturer: { getSources: async () => [] },
    dialog: {
      showErrorBox: (title: string, text: string) => void told.errors.push(`${title}: ${text}`),
      showOpenDialog: async () => ({
        canceled: told.picked === null,
        filePaths: told.picked === null ? [] : [told.picked],
      }),
    },
    ipcMain: new EventEmitter(),
    powerMonitor: new EventEmitter(),
    protocol: {
      registerSchemesAsPrivileged: (given: { scheme: string }[]) => {
        told.privileged = given.map((one) => one.scheme);
      },
      handle: (scheme: string, handler: Handler) => void schemes.set(scheme, handler),
    },
    safeStorage: {
      isAsyncEncryptionAvailable: async () => true,
      getSelectedStorageBackend: () => (options.keyring ? 'gnome_libsecret' : 'basic_text'),
      encryptStringAsync: async (text: string) => secret(text),
      decryptStringAsync: async (bytes: Buffer) => ({
        shouldReEncrypt: false,
        result: Buffer.from(bytes).reverse().toString(),
      }),
    },
    session: {
      fromPartition(name: string) {
        const session = sessions.get(name) ?? new FakeSession();
        sessions.set(name, session);
        return session;
      },
      defaultSession: {
        setPermissionRequestHandler: guard('request'),
        setPermissionCheckHandler: guard('check'),
        setDevicePermissionHandler: guard('device'),
        setBluetoothPairingHandler: guard('bluetooth'),
        setDisplayMediaRequestHandler: guard('screen'),
      },
    },
    shell: {
      openExternal: async (url: string) => void told.opened.push(url),
      openPath: async (file: string) => {
        told.opened.push(file);
        return '';
      },
      showItemInFolder: (file: string) => void told.opened.push(file),
    },
  };

  /** Hands a port over the way the preload script does; `url` and `parent` say which frame does it. */
  function connectPage(from: { url?: string; parent?: unknown } = {}): Connection<AppContract> {
    const { port1, port2 } = new MessageChannel();
    const sender = windows.findLast((one) => !one.destroyed)?.webContents;
    electron.ipcMain.emit(hostPortMessage, {
      sender,
      senderFrame: { url: from.url ?? sender?.mainFrame.url, parent: from.parent ?? null },
      ports: [mainPort(port1)],
    });
    return connect(contract, messagePortCarrier(port2), { clock: systemClock });
  }

  return {
    electron: electron as unknown as ElectronParts,
    told,
    windows,
    sessions,
    guards,
    connectPage,
    /** Fetches as the page would. */
    fetch: async (url: string, init?: RequestInit) => {
      const handler = schemes.get(new URL(url).protocol.slice(0, -1));
      if (!handler) throw new Error(`no scheme for ${url}`);
      return handler(new Request(url, init));
    },
    /** Resolves when the program has ended. */
    exited: () => (told.exitCode === null ? once(app, 'exited') : Promise.resolve()),
  };
}

/** Node's port in the shape of Electron's. */
function mainPort(port: MessagePort) {
  return Object.assign(new EventEmitter(), {
    postMessage: (message: unknown) => port.postMessage(message),
    start() {
      port.start();
    },
    close: () => port.close(),
    on(this: EventEmitter, event: string, listener: (value: { data: unknown }) => void) {
      if (event === 'message') port.on('message', (data) => listener({ data }));
      else port.on('close', listener);
      return this;
    },
  });
}
