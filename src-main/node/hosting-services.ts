import type { DriveHosts, HostStatus } from '../../src-shared/contract/index.ts';
import type { NodeServices } from '../api/index.ts';
import type { HostingTimes } from '../hosting/index.ts';
import type { Online } from './core.ts';
import type { Drives } from './drives.ts';
import type { NodeSettings } from './settings.ts';

/** The settings that say how often hosts are looked after, in ms. */
export function hostingTimes(settings: NodeSettings): HostingTimes {
  return {
    auditMs: settings.get('hosting.auditSeconds') * 1000,
    silenceMs: settings.get('hosting.silenceSeconds') * 1000,
    repairMs: settings.get('hosting.repairSeconds') * 1000,
    pollMs: settings.get('hosting.pollSeconds') * 1000,
  };
}

export function createHostingServices(
  online: () => Online,
  drives: () => Drives,
): Pick<NodeServices, 'hosting'> {
  const iso = (ms: number): string => new Date(ms).toISOString();

  function status(): HostStatus {
    const { hosting, settings } = online();
    const quota = settings.get('hosting.quota');
    return {
      offering: quota !== null,
      quota: quota ?? 0,
      ...hosting.lent(),
      drives: hosting.hosted().map((one) => ({ ...one, until: iso(one.until) })),
    };
  }

  function hosts(drive: string): DriveHosts {
    const { wanted, hosts: all } = online().hosting.replicas(drives().get(drive).record.driveId);
    return {
      wanted,
      hosts: all.map((host) => ({
        ...host,
        lastAudit: host.lastAudit && { time: iso(host.lastAudit.time), ok: host.lastAudit.ok },
      })),
    };
  }

  return {
    hosting: {
      offer({ quota }) {
        online().settings.write('hosting.quota', quota);
        return status();
      },
      stop() {
        online().settings.write('hosting.quota', null);
        return status();
      },
      status,
      async replicate({ drive, copies }) {
        await online().hosting.replicate(drives().get(drive).record.driveId, copies);
        return hosts(drive);
      },
      hosts: ({ drive }) => hosts(drive),
    },
  };
}

/** Tells the window when copies change, and people when a host fails them. Returns how to end that. */
export function watchHosting({ hosting, events, activity }: Online): () => void {
  const off = [
    hosting.on('changed', ({ driveId }) => events.emit('drives', { driveId })),
    hosting.on('problem', ({ driveId, error }) =>
      events.emit('activity', activity.add({ kind: 'problem', driveId, message: error.message })),
    ),
  ];
  return () => off.forEach((end) => end());
}
