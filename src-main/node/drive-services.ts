import { AppError } from '../../src-shared/errors.ts';
import type { DriveCheckReport, DriveStatus, DriveSummary } from '../../src-shared/contract/index.ts';
import type { NodeServices } from '../api/index.ts';
import type { DriveCheck, DriveInvite } from '../drive/index.ts';
import { entryId } from '../history/index.ts';
import { parseUserId } from '../identity/index.ts';
import { suggestFolder } from './folders.ts';
import type { Online } from './core.ts';
import { formatDriveLink, parseDriveLink, type LinkPower } from './drive-link.ts';
import type { Drives, OpenDrive } from './drives.ts';
import type { Views } from './sharing/views.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function inviteShown({ ended: _, ...one }: DriveInvite) {
  const iso = (ms: number): string => new Date(ms).toISOString();
  return {
    ...one,
    used: [...one.used],
    made: iso(one.made),
    expires: one.expires === null ? null : iso(one.expires),
  };
}

export function createDriveServices(
  online: () => Online,
  drives: () => Drives,
  views: () => Views,
): Pick<NodeServices, 'drives'> {
  function summary({ record, drive, sync }: OpenDrive): DriveSummary {
    const { state, files, bytes } = sync.status();
    const role = drive.ownRole();
    return { driveId: record.driveId, name: drive.name(), state, folder: record.folder, role, files, bytes };
  }

  function status(one: OpenDrive): DriveStatus {
    const { pendingUp, pendingDown, pendingBytes, conflicts, problems } = one.sync.status();
    const others = online()
      .exchange.members(one.record.driveId)
      .filter((member) => member.sameHistory && member.settled).length;
    const hosted = online()
      .hosting.replicas(one.record.driveId)
      .hosts.filter((host) => host.complete).length;
    return {
      ...summary(one),
      heads: one.drive.heads().map(entryId),
      pendingUp,
      pendingDown,
      pendingBytes,
      conflicts,
      copies: others + hosted + (pendingDown === 0 ? 1 : 0),
      problems: [...problems],
    };
  }

  function linkWith(one: OpenDrive, power: LinkPower | null): string {
    const { network, hosting } = online();
    const { driveId } = one.record;
    return formatDriveLink({
      driveId,
      addresses: [...network.addresses(), ...hosting.addresses(driveId)],
      power,
    });
  }

  function link({ drive, ...one }: OpenDrive): string {
    const visibility = drive.visibility();
    const secret = visibility === 'unlisted' ? drive.readSecret() : null;
    return linkWith({ drive, ...one }, visibility === 'private' ? null : { t: 'read', secret });
  }

  /** Everyone reachable knows what we know, and says that folder and tree are equal there. */
  function membersInStep(one: OpenDrive): boolean {
    return online()
      .exchange.members(one.record.driveId)
      .every((member) => member.sameHistory && member.settled);
  }

  async function membersSettled(one: OpenDrive, signal: AbortSignal): Promise<void> {
    const { exchange } = online();
    while (!membersInStep(one)) {
      await new Promise<void>((resolve, reject) => {
        const done = (): void => {
          off();
          signal.removeEventListener('abort', aborted);
          resolve();
        };
        const aborted = (): void => {
          off();
          reject(signal.reason as Error);
        };
        const off = exchange.on('members', ({ driveId }) => {
          if (driveId === one.record.driveId) done();
        });
        signal.addEventListener('abort', aborted, { once: true });
        if (signal.aborted) aborted();
        else if (membersInStep(one)) done();
      });
    }
  }

  return {
    drives: {
      async create({ name, folder, visibility }) {
        const one = await drives().create(name, folder);
        await one.drive.setVisibility(visibility);
        return { driveId: one.record.driveId, link: link(one) };
      },
      async join({ link: text, folder, onlineOnly }, signal) {
        if (onlineOnly) throw new AppError('unsupported', 'Online-only drives come with a later version.');
        await views().close(parseDriveLink(text).driveId);
        const one = await drives().join(text, folder, signal);
        return { driveId: one.record.driveId, name: one.drive.name() };
      },
      list: () => [
        ...drives().list().map(summary),
        ...drives()
          .broken()
          .map(({ record }): DriveSummary => ({
            driveId: record.driveId,
            name: '',
            state: 'stopped',
            folder: record.folder,
            role: null,
            files: 0,
            bytes: 0,
          })),
      ],
      suggest: ({ name }) => suggestFolder(name),
      status: ({ drive }) => status(drives().get(drive)),
      pause({ drive }) {
        drives().setPaused(drive, true);
        return { ok: true };
      },
      resume({ drive }) {
        drives().setPaused(drive, false);
        return { ok: true };
      },
      async leave({ drive }) {
        await drives().leave(drive);
        return { ok: true };
      },
      async wait({ drive }, signal) {
        const one = drives().get(drive);
        await one.sync.scan();
        do {
          await one.sync.settled(signal);
          await membersSettled(one, signal);
          // What a member sent meanwhile may have to be brought to the folder.
        } while (one.sync.status().state !== 'in_step' || !membersInStep(one));
        return status(one);
      },
      async link({ drive, role, expires, uses }) {
        const one = drives().get(drive);
        if (role === null) {
          if (expires === null && uses === null) return { link: link(one), invite: null };
          throw new AppError(
            'invalid_argument',
            'Only invitations expire or count their uses; say which role the link gives.',
          );
        }
        const until = expires === null ? null : Date.parse(expires);
        if (until !== null && until <= online().clock.now()) {
          throw new AppError('invalid_argument', 'This moment is past already.');
        }
        const { id, secret } = await one.drive.invite(role, { expires: until, uses });
        return { link: linkWith(one, { t: 'invite', secret }), invite: id };
      },
      invites: ({ drive }) => drives().get(drive).drive.invites().map(inviteShown),
      async endInvite({ drive, invite }) {
        await drives().get(drive).drive.endInvite(invite);
        return { ok: true };
      },
      visibility: ({ drive }) => ({ visibility: drives().get(drive).drive.visibility() }),
      async setVisibility({ drive, visibility }) {
        const one = drives().get(drive);
        await one.drive.setVisibility(visibility);
        return { link: link(one) };
      },
      async share({ drive, user, role }, signal) {
        const one = drives().get(drive);
        parseUserId(user);
        const { network, identity } = online();
        const card = user === identity.userId() ? identity.card() : await network.cards.find(user, signal);
        await one.drive.share(user, card.encKey, role);
        drives().refreshMembers();
        return { link: link(one) };
      },
      async unshare({ drive, user }) {
        await drives().get(drive).drive.unshare(user);
        return { ok: true };
      },
      members: ({ drive }) =>
        drives()
          .get(drive)
          .drive.members()
          .map((member) => ({ ...member, since: new Date(member.since).toISOString() })),
      history({ drive, before, limit, user, device, op }) {
        const one = drives().get(drive).drive;
        const page = one.timeline({ before, limit, user, deviceId: device, op });
        return {
          items: page.items.map((deed) => ({ ...deed, time: new Date(deed.time).toISOString() })),
          next: page.next,
          writers: [...one.writers()],
        };
      },
      verify: async ({ drive }) => report(await drives().get(drive).drive.verify()),
      async confirm({ drive }) {
        await drives().get(drive).sync.confirm();
        return { ok: true };
      },
    },
  };
}

function report(check: DriveCheck): DriveCheckReport {
  type Finding = DriveCheckReport['findings'][number];
  const plain = { writer: null, seq: null };
  const findings: Finding[] = [
    ...check.damaged.map((record): Finding => ({
      kind: 'damaged',
      entry: record.id,
      writer: record.writer && hex(record.writer),
      seq: record.seq,
      message: `The record at byte ${record.offset} of the chain (${record.length} bytes) is damaged: ${record.reason}.`,
    })),
    ...check.forks.map((fork): Finding => ({
      kind: 'fork',
      entry: fork.entries[0] ?? null,
      writer: hex(fork.writer),
      seq: fork.seq,
      message: `${fork.entries.length} different entries stand at one place: ${fork.entries.join(', ')}.`,
    })),
    ...check.rejected.map(({ id, error }): Finding => ({
      ...plain,
      kind: 'rejected',
      entry: id,
      message: error.message,
    })),
    ...check.forbidden.map(({ id, reason }): Finding => ({
      ...plain,
      kind: 'forbidden',
      entry: id,
      message: reason,
    })),
    ...check.quarantined.map((id): Finding => ({
      ...plain,
      kind: 'quarantined',
      entry: id,
      message: 'Signed by a removed writer and not among the entries its removal accepts.',
    })),
  ];
  return {
    ok: check.ok,
    entries: check.entries,
    writers: check.writers,
    forks: check.forks.length,
    anchoredAt: null,
    findings,
  };
}
