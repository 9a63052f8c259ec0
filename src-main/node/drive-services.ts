import path from 'node:path';
import { AppError } from '../../src-shared/errors.ts';
import type { DriveCheckReport, DriveStatus, DriveSummary } from '../../src-shared/contract/index.ts';
import type { NodeServices } from '../api/index.ts';
import { rootNode, type DriveCheck, type DriveInvite } from '../drive/index.ts';
import { entryId } from '../history/index.ts';
import { parseUserId } from '../identity/index.ts';
import { suggestFolder } from './folders.ts';
import type { Online } from './core.ts';
import { formatDriveLink, parseDriveLink, type LinkPower } from './drive-link.ts';
import type { DriveRecord } from './drive-records.ts';
import type { BrokenDrive, Drives, OpenDrive } from './drives.ts';
import type { Anchors } from './ledger/anchors.ts';
import type { Chains } from './ledger/chains.ts';
import type { SharedWithMe } from './sharing/shared-with-me.ts';
import type { Views } from './sharing/views.ts';
import { hex, iso } from './shown-values.ts';

function inviteShown({ ended: _, ...one }: DriveInvite) {
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
  shared: () => SharedWithMe,
  anchors: () => Anchors,
  chains: () => Pick<Chains, 'current'>,
): Pick<NodeServices, 'drives'> {
  function summary({ record, drive, sync }: OpenDrive): DriveSummary {
    const { state, files, bytes, conflicts } = sync.status();
    const role = drive.ownRole();
    const { driveId, folder } = record;
    const mount = mountOf(record);
    return { driveId, name: drive.name(), state, folder, role, files, bytes, conflicts, mount };
  }

  function mountOf({ mount }: DriveRecord): DriveSummary['mount'] {
    if (!mount) return null;
    const around = drives().opened(mount.parent);
    return { drive: mount.parent, path: around?.wholeTree.path(mount.node) ?? '' };
  }

  function status(one: OpenDrive): DriveStatus {
    const { pendingUp, pendingDown, pendingBytes, problems, ...mine } = one.sync.status();
    const others = online()
      .exchange.members(one.record.driveId)
      .filter((member) => member.sameHistory && member.whole).length;
    const hosted = online().hosting.replicas(one.record.driveId).copies;
    return {
      ...summary(one),
      heads: one.drive.heads().map(entryId),
      pendingUp,
      pendingDown,
      pendingBytes,
      copies: others + hosted + (mine.whole ? 1 : 0),
      online: { files: mine.onlineFiles, bytes: mine.onlineBytes },
      mode: mine.mode,
      differing: mine.differing,
      problems: [...problems],
    };
  }

  function brokenSummary({ record }: BrokenDrive): DriveSummary {
    const { driveId, folder } = record;
    const nothing = { role: null, files: 0, bytes: 0, conflicts: 0 };
    // What it is called stands in its history, which could not be opened.
    const name = path.basename(folder) || folder;
    return { driveId, name, state: 'stopped', folder, ...nothing, mount: mountOf(record) };
  }

  /** Why a drive could not be opened, where its state would be. */
  function brokenStatus(broken: BrokenDrive): DriveStatus {
    const { code, message } = broken.error;
    return {
      ...brokenSummary(broken),
      heads: [],
      pendingUp: 0,
      pendingDown: 0,
      pendingBytes: 0,
      copies: 0,
      online: { files: 0, bytes: 0 },
      mode: 'send-receive',
      differing: 0,
      problems: [{ code, path: '', message }],
    };
  }

  /** Links carry the network in use, so that whoever follows them can check what is anchored there. */
  function chainOfLinks(): { chain?: string } {
    const open = chains().current();
    return open && !open.record.provisional ? { chain: open.record.chainId } : {};
  }

  function linkWith(one: OpenDrive, power: LinkPower | null): string {
    const { network, hosting } = online();
    const { driveId } = one.record;
    return formatDriveLink({
      driveId,
      addresses: [...network.addresses(), ...hosting.addresses(driveId)],
      power,
      ...chainOfLinks(),
    });
  }

  function link({ drive, ...one }: OpenDrive): string {
    const visibility = drive.visibility();
    const secret = visibility === 'unlisted' ? drive.readSecret() : null;
    return linkWith({ drive, ...one }, visibility === 'private' ? null : { t: 'read', secret });
  }

  /** Everyone reachable who has joined knows what we know, and says that folder and tree are equal there. */
  function membersInStep(one: OpenDrive): boolean {
    return online()
      .exchange.members(one.record.driveId)
      .every((member) => member.refused || (member.sameHistory && member.settled));
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
        await views().close(parseDriveLink(text).driveId);
        const one = await drives().join(text, folder, onlineOnly, signal);
        return { driveId: one.record.driveId, name: one.drive.name() };
      },
      async look({ link: text }, signal) {
        const { driveId } = parseDriveLink(text);
        const kept = drives()
          .list()
          .find((one) => one.record.driveId === driveId);
        const { drive } = kept ?? (await views().open(text, signal));
        const { files, bytes } = drive.tree.count();
        return { driveId, name: drive.name(), visibility: drive.visibility(), files, bytes };
      },
      list: () => [...drives().list().map(summary), ...drives().broken().map(brokenSummary)],
      suggest: ({ name }) => suggestFolder(name),
      status({ drive }) {
        const broken = drives()
          .broken()
          .find((one) => one.record.driveId === drive);
        return broken ? brokenStatus(broken) : status(drives().get(drive));
      },
      pause({ drive }) {
        drives().setPaused(drive, true);
        return { ok: true };
      },
      resume({ drive }) {
        drives().setPaused(drive, false);
        return { ok: true };
      },
      async move({ drive, folder, anew }) {
        return status(await drives().move(drive, folder, anew));
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
          // One whose mode keeps it apart is as far as it will get.
        } while (!['in_step', 'differs'].includes(one.sync.status().state) || !membersInStep(one));
        return status(one);
      },
      async link({ drive, role, expires, uses }) {
        const one = drives().get(drive);
        if (role === null && expires === null && uses === null) return { link: link(one), invite: null };
        const until = expires === null ? null : Date.parse(expires);
        if (until !== null && until <= online().clock.now()) {
          throw new AppError('invalid_argument', 'This moment is past already.');
        }
        const { id, secret } = await one.drive.invite(role ?? 'reader', { expires: until, uses });
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
        await drives().unshare(drive, user);
        return { ok: true };
      },
      async shareFolder({ drive, path, user, role }, signal) {
        const { network, identity } = online();
        if (user !== null) parseUserId(user);
        // Whom nobody knows can't be given a role: said before anything is made.
        const card =
          user === null || user === identity.userId() ? null : await network.cards.find(user, signal);
        const one = await drives().shareFolder(drive, path, signal);
        if (user !== null && card) await one.drive.share(user, card.encKey, role);
        drives().refreshMembers();
        return { driveId: one.record.driveId, link: link(one) };
      },
      async unshareFolder({ drive, path }, signal) {
        const around = drives().get(drive).drive;
        const mount = around.tree.resolve(path)?.mount;
        if (!mount) throw new AppError('not_found', `${path} is no folder that is a drive of its own.`);
        await drives().unshareFolder(mount, signal);
        return { ok: true };
      },
      members: ({ drive }) =>
        drives()
          .get(drive)
          .drive.members()
          .map((member) => ({
            ...member,
            since: new Date(member.since).toISOString(),
            opened:
              member.userId === online().identity.userId() ||
              shared().opened(drives().get(drive).record.driveId, member.userId),
          })),
      shared: () =>
        shared()
          .list()
          .map((one) => ({ ...one, time: new Date(one.time).toISOString() })),
      hideShared({ drive }) {
        shared().hide(drive);
        return { ok: true };
      },
      history({ drive, before, limit, user, device, op }) {
        const one = drives().get(drive).drive;
        const page = one.timeline({ before, limit, user, deviceId: device, op });
        return {
          items: page.items.map((deed) => ({ ...deed, time: new Date(deed.time).toISOString() })),
          next: page.next,
          writers: [...one.writers()],
        };
      },
      rights: ({ drive }) =>
        drives()
          .get(drive)
          .drive.rightsHistory()
          .map(({ kind, ...deed }) => ({
            ...deed,
            kind:
              kind === 'genesis'
                ? 'create'
                : kind === 'lower' || (kind === 'grant' && deed.was !== null)
                  ? 'change'
                  : kind,
            time: new Date(deed.time).toISOString(),
          })),
      async verify({ drive: name }) {
        const { drive } = drives().get(name);
        const found = report(await drive.verify());
        const newest = anchors().newestOf(drive);
        const rewritten = anchors()
          .contradictions(drive)
          .map(({ writer, seq }): DriveCheckReport['findings'][number] => ({
            kind: 'rewritten',
            entry: null,
            writer: hex(writer),
            seq,
            message: 'The ledger knows another entry at this place: this history was rewritten.',
          }));
        return {
          ...found,
          ok: found.ok && rewritten.length === 0,
          anchoredAt: newest && new Date(newest.time).toISOString(),
          findings: [...found.findings, ...rewritten],
        };
      },
      async setMode({ drive, mode }) {
        await drives().get(drive).sync.setMode(mode);
        return { ok: true };
      },
      differences: ({ drive, limit }) => [...drives().get(drive).sync.differences(limit)],
      async revert({ drive }) {
        await drives().get(drive).sync.revert();
        return { ok: true };
      },
      async override({ drive }) {
        await drives().get(drive).sync.override();
        return { ok: true };
      },
      keeps({ drive }) {
        const one = drives().get(drive);
        return [...one.sync.online.policies()]
          .flatMap(([node, keep]) => {
            const path = node === rootNode ? '' : one.drive.tree.path(node);
            return path === null ? [] : [{ path, keep }];
          })
          .sort((a, b) => (a.path < b.path ? -1 : 1));
      },
      async confirm({ drive }) {
        await drives().get(drive).sync.confirm();
        return { ok: true };
      },
    },
  };
}

function report(check: DriveCheck): Omit<DriveCheckReport, 'anchoredAt'> {
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
    findings,
  };
}
