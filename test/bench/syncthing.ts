import { spawn, execFile, type ChildProcess } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Two Syncthing processes on loopback sharing one folder; A sends, B receives. */
export interface SyncthingPair {
  readonly a: string;
  readonly b: string;
  readonly version: string;
  /** Asks A to rescan its folder now. */
  rescan(): Promise<void>;
  /** Resident memory of both processes, bytes. */
  pids(): readonly number[];
  stop(): Promise<void>;
}

interface Side {
  readonly home: string;
  readonly folder: string;
  readonly gui: number;
  readonly port: number;
  readonly id: string;
  process: ChildProcess | null;
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

/** The version line, or null where Syncthing is not installed. */
export async function syncthingVersion(): Promise<string | null> {
  try {
    return (await run('syncthing', ['--version'])).stdout.split(' ').slice(0, 2).join(' ');
  } catch {
    return null;
  }
}

const apiKey = 'bench';

async function prepare(home: string, folder: string): Promise<Side> {
  await mkdir(home, { recursive: true });
  await mkdir(path.join(folder, '.stfolder'), { recursive: true });
  await run('syncthing', ['generate', '--home', home, '--no-default-folder']);
  const id = (await run('syncthing', ['--home', home, '--device-id'])).stdout.trim();
  return { home, folder, gui: await freePort(), port: await freePort(), id, process: null };
}

/** Syncthing's own settings, with everything that reaches beyond loopback off and its shortest watcher delay. */
async function configure(side: Side, other: Side, type: 'sendreceive'): Promise<void> {
  const device = (s: Side): string =>
    `<device id="${s.id}" name="x" compression="never"><address>tcp://127.0.0.1:${s.port}</address></device>`;
  await writeFile(
    path.join(side.home, 'config.xml'),
    `<configuration version="36">
      <folder id="bench" label="bench" path="${side.folder}" type="${type}" rescanIntervalS="3600" fsWatcherEnabled="true" fsWatcherDelayS="1">
        <device id="${side.id}"></device><device id="${other.id}"></device>
      </folder>
      ${device(side)}${device(other)}
      <gui enabled="true" tls="false"><address>127.0.0.1:${side.gui}</address><apikey>${apiKey}</apikey></gui>
      <options>
        <listenAddress>tcp://127.0.0.1:${side.port}</listenAddress>
        <globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false</localAnnounceEnabled>
        <relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><startBrowser>false</startBrowser>
        <urAccepted>-1</urAccepted><crashReportingEnabled>false</crashReportingEnabled><autoUpgradeIntervalH>0</autoUpgradeIntervalH>
        <reconnectionIntervalS>1</reconnectionIntervalS>
        <!-- It would step behind everything else that runs, which we do not. -->
        <setLowPriority>false</setLowPriority>
      </options>
    </configuration>`,
  );
}

async function rest<T>(side: Side, method: string, route: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${side.gui}${route}`, {
    method,
    headers: { 'X-API-Key': apiKey },
  });
  const text = await response.text();
  return (text === '' ? null : JSON.parse(text)) as T;
}

async function launch(side: Side): Promise<void> {
  side.process = spawn(
    'syncthing',
    ['serve', '--home', side.home, '--no-browser', '--no-restart', '--no-upgrade'],
    {
      stdio: 'ignore',
      env: { ...process.env, STNODEFAULTFOLDER: '1', STNOUPGRADE: '1' },
    },
  );
  for (let i = 0; i < 300; i++) {
    try {
      await rest(side, 'GET', '/rest/system/ping');
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error(`Syncthing did not start: ${await readFile(path.join(side.home, 'config.xml'), 'utf8')}`);
}

/** Starts both and waits until they are connected and idle. */
export async function startSyncthingPair(dir: string): Promise<SyncthingPair> {
  const version = await syncthingVersion();
  if (version === null) throw new Error('Syncthing is not installed');
  const a = await prepare(path.join(dir, 'st-a'), path.join(dir, 'folder-a'));
  const b = await prepare(path.join(dir, 'st-b'), path.join(dir, 'folder-b'));
  await configure(a, b, 'sendreceive');
  await configure(b, a, 'sendreceive');
  await Promise.all([launch(a), launch(b)]);
  for (let i = 0; ; i++) {
    const connections = await rest<{ connections: Record<string, { connected: boolean }> }>(
      a,
      'GET',
      '/rest/system/connections',
    );
    const status = await rest<{ state: string }>(b, 'GET', '/rest/db/status?folder=bench');
    if (connections.connections[b.id]?.connected && status.state === 'idle') break;
    if (i > 300) throw new Error('the two Syncthings did not connect');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    a: a.folder,
    b: b.folder,
    version,
    rescan: async () => void (await rest(a, 'POST', '/rest/db/scan?folder=bench')),
    pids: () => [a.process!.pid!, b.process!.pid!],
    async stop() {
      await Promise.all(
        [a, b].map(
          (side) =>
            new Promise<void>((resolve) => {
              side.process!.on('exit', () => resolve());
              side.process!.kill('SIGTERM');
              setTimeout(() => side.process!.kill('SIGKILL'), 8000).unref();
            }),
        ),
      );
    },
  };
}
