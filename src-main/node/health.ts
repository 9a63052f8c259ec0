import { monitorEventLoopDelay } from 'node:perf_hooks';
import { statfs } from 'node:fs/promises';
import os from 'node:os';
import type { Check } from '../../src-shared/contract/index.ts';
import type { NodeServices } from '../api/index.ts';
import { readLogs, redact } from '../platform/index.ts';
import type { Base, Online } from './core.ts';
import type { Drives } from './drives.ts';

/** Sampling interval of the event-loop histogram, ms; the histogram counts it in, so it is taken off again. */
const resolution = 10;
/** Loading the program is no delay of anybody's work: the histogram begins after it. */
const startUpMs = 3_000;
const lowDisk = 1_000_000_000;

export interface Health extends Pick<NodeServices, 'doctor'> {
  start(): void;
  stop(): void;
}

/**
 * Looks at the node as a helpful friend would: what is well, what isn't, and what to do.
 * @param recordKeepers computers that keep this person's recovery record; null: there is nothing to come back to
 */
export function createHealth(
  base: Base,
  online: () => Online | null,
  drives: () => Drives | null,
  recordKeepers: () => number | null,
): Health {
  const delay = monitorEventLoopDelay({ resolution });
  let since = performance.now();
  let startedUp: NodeJS.Timeout | null = null;

  function beginAnew(): void {
    delay.reset();
    since = performance.now();
  }

  /** Since it was last asked, so that what is slow now is not hidden by quiet hours. */
  function eventLoop(): Check {
    const seconds = Math.round((performance.now() - since) / 1000);
    const ms = (ns: number): number => Math.max(0, ns / 1e6 - resolution);
    const [p50, p99, max] = [ms(delay.percentile(50)), ms(delay.percentile(99)), ms(delay.max)];
    beginAnew();
    return {
      name: 'event loop',
      level: p99 <= 25 ? 'ok' : 'warning',
      message: `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms (last ${seconds} s)`,
    };
  }

  function keystore(): Check {
    const { state, protection } = base.identity.status();
    if (state === 'locked')
      return {
        name: 'keystore',
        level: 'warning',
        message: 'Locked: start with --password-file or unlock it.',
      };
    return protection === 'none'
      ? {
          name: 'keystore',
          level: 'warning',
          message: 'Unprotected: whoever can read the data folder can use your keys.',
        }
      : {
          name: 'keystore',
          level: 'ok',
          message: `Protected by ${protection === 'password' ? 'a password' : 'the system keychain'}.`,
        };
  }

  async function disk(): Promise<Check> {
    const { bavail, bsize } = await statfs(base.dataDir);
    const free = bavail * bsize;
    return {
      name: 'disk',
      level: free < lowDisk ? 'warning' : 'ok',
      message: `${(free / 1e9).toFixed(1)} GB free where the data folder is.`,
    };
  }

  function network(): Check[] {
    const node = online();
    if (!node)
      return [
        {
          name: 'network',
          level: 'warning',
          message: 'Not connected: the keystore is locked or the node is offline.',
        },
      ];
    const addresses = node.network.addresses();
    const peers = node.network.peers();
    const relayed = peers.filter((peer) => peer.relayed).length;
    return [
      addresses.length > 0
        ? {
            name: 'addresses',
            level: 'ok',
            message: `Reachable at ${addresses.length === 1 ? 'one address' : `${addresses.length} addresses`}.`,
          }
        : {
            name: 'addresses',
            level: 'failed',
            message: 'Listening nowhere: check --listen and that the port is free.',
          },
      {
        name: 'peers',
        level: peers.length > 0 ? 'ok' : 'warning',
        message:
          peers.length > 0
            ? `${peers.length} connected, ${relayed} through a relay.`
            : 'Nobody is connected. Open an invitation or a drive link.',
      },
    ];
  }

  function recovery(): Check[] {
    const keepers = recordKeepers();
    if (keepers === null) return [];
    return [
      keepers > 0
        ? {
            name: 'recovery',
            level: 'ok',
            message: `${keepers} other computer(s) keep the sealed list of your drives: with the recovery phrase alone you find them again.`,
          }
        : {
            name: 'recovery',
            level: 'warning',
            message:
              'No other computer has the list of your drives: with the recovery phrase alone you would not find them. Put copies on hosts, or share a drive.',
          },
    ];
  }

  function folders(): Check[] {
    return [
      ...(drives()?.list() ?? []).map(({ drive, sync }): Check => {
        const { state, problems } = sync.status();
        return {
          name: `drive ${drive.id}`,
          level: problems.length === 0 ? 'ok' : 'warning',
          message:
            problems.length === 0 ? state : `${state}, ${problems.length} problem(s): ${problems[0]!.code}`,
        };
      }),
      ...(drives()?.broken() ?? []).map(({ record, error }): Check => ({
        name: `drive ${record.driveId}`,
        level: 'failed',
        message: error.message,
      })),
    ];
  }

  async function check(): Promise<{ ok: boolean; checks: Check[] }> {
    const checks = [eventLoop(), keystore(), await disk(), ...network(), ...recovery(), ...folders()];
    return { ok: checks.every((one) => one.level !== 'failed'), checks };
  }

  return {
    start() {
      delay.enable();
      startedUp = setTimeout(beginAnew, startUpMs).unref();
    },
    stop() {
      if (startedUp) clearTimeout(startedUp);
      delay.disable();
    },
    doctor: {
      check,
      async reports() {
        const node = online();
        const system = {
          node: process.versions,
          platform: `${process.platform} ${process.arch} ${os.release()}`,
          cores: os.cpus().length,
          memory: { total: os.totalmem(), free: os.freemem(), process: process.memoryUsage() },
          uptime: process.uptime(),
        };
        const reports: Record<string, unknown> = {
          'system.json': system,
          'checks.json': await check(),
          'drives.json': (drives()?.list() ?? []).map(({ drive, sync }) => {
            // Names of files stay at home: only the codes of problems go in.
            const { problems, ...status } = sync.status();
            return { driveId: drive.id, ...status, problems: problems.map((problem) => problem.code) };
          }),
          'peers.json': (node?.network.peers() ?? []).map(({ address: _, userId: __, ...peer }) => peer),
          'settings.json': base.settings.all(),
        };
        const { log, crashes } = readLogs(base.dataDir);
        const texts = { ...crashes, ...(log !== '' && { 'log.txt': log }) };
        return Object.fromEntries([
          ...Object.entries(reports).map(([name, value]) => [name, JSON.stringify(value, null, 2)] as const),
          ...Object.entries(texts).map(([name, text]) => [name, redact(text)] as const),
        ]);
      },
    },
  };
}
