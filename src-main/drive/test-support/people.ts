import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSigner,
  deviceIdOf,
  signDeviceCertificate,
  tryUnwrap,
  userIdOf,
} from '../../identity/index.ts';
import { createHistory, entryHash, merkleLeaves, merkleRoot } from '../../history/index.ts';
import type { Entry, EntryId } from '../../history/index.ts';
import { openDatabase } from '../../store/index.ts';
import type { Database } from '../../store/index.ts';
import type { Clock, RandomBytes } from '../../../src-shared/runtime.ts';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { createDrive, openDrive } from '../drive.ts';
import { createAccessLog } from '../access/access-log.ts';
import { buildAccessEntry } from '../access/author.ts';
import type { AccessDraft } from '../access/author.ts';
import { signWriterCertificate } from '../access/writer-certificate.ts';
import { encodeBody, sealBytes } from '../codec/body.ts';
import { unhex } from '../codec/bytes.ts';
import { encodeOp } from '../codec/ops.ts';
import type { WireOp } from '../codec/ops.ts';
import type { Budget } from '../budget.ts';
import type { DriveIdentity, WriterKeys } from '../deps.ts';
import type { Drive, DrivePurpose, FileContent, NodeId } from '../types.ts';

/** Bytes that depend only on the seed. */
export function seededRandom(seed: string): RandomBytes {
  let counter = 0;
  return (n) => {
    const out = Buffer.alloc(n);
    for (let at = 0; at < n; at += 32) {
      createHash('sha256').update(`${seed}/${counter++}`).digest().copy(out, at);
    }
    return new Uint8Array(out);
  };
}

function steppingClock(start = Date.UTC(2026, 10, 22, 15, 30)): Clock & { advance(ms: number): void } {
  let now = start;
  return { now: () => now, after: () => () => {}, advance: (ms) => void (now += ms) };
}

function x25519Public(secret: Uint8Array): Uint8Array {
  const prefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
  const key = createPrivateKey({ key: Buffer.concat([prefix, secret]), format: 'der', type: 'pkcs8' });
  return new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32));
}

export interface TestPerson extends DriveIdentity {
  readonly deviceId: string;
}

/** One device of a user; devices of one `name` belong to one user. */
export function person(name: string, device = 'Laptop'): TestPerson {
  const random = seededRandom(`person ${name}`);
  const root = createSigner(random(32));
  const secret = random(32);
  const signer = createSigner(seededRandom(`device ${name} ${device}`)(32));
  return {
    userId: userIdOf(root.publicKey),
    device: signer,
    deviceId: deviceIdOf(signer.publicKey),
    certificate: signDeviceCertificate(root, { deviceKey: signer.publicKey, name: device, issuedAt: 1 }),
    encKey: x25519Public(secret),
    unwrap: (box) => tryUnwrap(secret, box),
  };
}

/** One computer that may hold several drives; everything is removed by `clean`. */
export interface TestNode {
  readonly who: TestPerson;
  readonly clock: ReturnType<typeof steppingClock>;
  create(name: string, purpose?: DrivePurpose): Promise<Drive>;
  join(from: Drive): Promise<Drive>;
  reopen(drive: Drive): Promise<Drive>;
  /** Loses the database, keeps the chain. */
  rebuild(drive: Drive): Promise<Drive>;
  /** A second computer that runs from a copy of this one's files, keys and all. */
  copy(drive: Drive): Promise<Drive>;
  db(drive: Drive): Database;
  chain(drive: Drive): string;
}

/** @param budget what one member may write into a collection, on all computers of the bench */
export function createTestBench(seed: string, budget?: Budget) {
  const root = mkdtempSync(join(tmpdir(), 'extrachain-drive-'));
  const open: (() => void)[] = [];
  let count = 0;

  function node(who: TestPerson): TestNode {
    const dir = join(root, `node${count++}`);
    const random = seededRandom(`${seed} ${dir.slice(root.length)}`);
    const clock = steppingClock();
    const secrets = new Map<EntryId, Uint8Array>();
    const writerKeys: WriterKeys = {
      get: (drive) => secrets.get(drive) ?? null,
      put: (drive, secret) => void secrets.set(drive, Uint8Array.from(secret)),
    };
    const dbs = new Map<EntryId, Database>();
    const storage = (driveId: EntryId, fresh = '') => {
      const place = join(dir, driveId);
      const db = openDatabase(join(place, `drive${fresh}.db`));
      dbs.set(driveId, db);
      open.push(() => db.close());
      return { dir: place, db };
    };
    const common = { identity: who, writerKeys, clock, random, ...(budget && { budget }) };
    const keep = (drive: Drive): Drive => {
      open.push(() => drive.close());
      return drive;
    };
    return {
      who,
      clock,
      create: async (name, purpose) =>
        keep(
          await createDrive({ ...common, name, ...(purpose && { purpose }), storage: (id) => storage(id) }),
        ),
      async join(from) {
        const genesis = [...from.missingFor([])][0]?.bytes as Uint8Array;
        return keep(await openDrive({ ...common, ...storage(from.id), driveId: from.id, genesis }));
      },
      async reopen(drive) {
        drive.close();
        dbs.get(drive.id)?.close();
        return keep(await openDrive({ ...common, ...storage(drive.id), driveId: drive.id }));
      },
      async rebuild(drive) {
        drive.close();
        dbs.get(drive.id)?.close();
        return keep(await openDrive({ ...common, ...storage(drive.id, `-${count++}`), driveId: drive.id }));
      },
      async copy(drive) {
        const place = join(dir, `copy${count++}`);
        mkdirSync(place, { recursive: true });
        copyFileSync(join(dir, drive.id, 'chain.log'), join(place, 'chain.log'));
        await dbs.get(drive.id)?.backup(join(place, 'drive.db'));
        const db = openDatabase(join(place, 'drive.db'));
        open.push(() => db.close());
        return keep(await openDrive({ ...common, dir: place, db, driveId: drive.id }));
      },
      db: (drive) => dbs.get(drive.id) as Database,
      chain: (drive) => join(dir, drive.id, 'chain.log'),
    };
  }

  /**
   * Somebody who writes entries by hand: he holds the chain as `from` has it now and signs with a key nobody gave him.
   * @param keys whose keys he reads with
   */
  async function forger(from: Drive, keys: TestPerson, seed: string) {
    const place = join(root, `forger${count++}`);
    const db = openDatabase(join(place, 'drive.db'));
    const signer = createSigner(seededRandom(seed)(32));
    const drive = entryHash(from.id);
    const chain = [...from.missingFor([])];
    const history = await createHistory({
      dir: place,
      db,
      driveId: from.id,
      signer,
      clock: steppingClock(),
      random: seededRandom(`${seed} random`),
      genesis: chain[0]?.bytes as Uint8Array,
    });
    open.push(() => (history.close(), db.close()));
    await history.ingest(chain.map((entry) => entry.bytes));
    const access = createAccessLog(drive, (box) => keys.unwrap(box));
    access.add(chain.filter((entry) => entry.header.kind === 'access'));
    const random = seededRandom(`${seed} bodies`);
    return {
      signer,
      history,
      /** A certificate for his writer by a person's device. */
      certificate: (who: TestPerson): WireOp => ({
        t: 'cert',
        cert: signWriterCertificate(who.device, who.certificate, drive, signer.publicKey, 1),
      }),
      /** Signs one entry with these operations on top of what he has. */
      async write(ops: readonly WireOp[]): Promise<Entry> {
        const links = access.graph.heads().map(unhex);
        const epoch = access.keyring.merge(access.graph.current().epochs);
        const bytes = ops.map(encodeOp);
        const salt = random(32);
        const keyEpoch = unhex(epoch);
        const opsRoot = merkleRoot(merkleLeaves(salt, bytes));
        const binding = { drive, writer: signer.publicKey, keyEpoch, opsRoot };
        const plain = encodeBody({ salt, ops: bytes });
        const body = sealBytes(access.keyring.bodyKey(epoch), random(12), plain, binding);
        const [entry] = await history.append([{ kind: 'ops', access: links, keyEpoch, opsRoot, body }]);
        return entry as Entry;
      },
      /** Signs one entry that changes rights, as a person's device, whatever his role. */
      async change(who: TestPerson, part: Partial<AccessDraft> & Pick<AccessDraft, 'kind'>): Promise<Entry> {
        const id = access.keyring.merge(access.graph.current().epochs);
        const draft: AccessDraft = {
          user: who.userId,
          role: null,
          encKey: null,
          device: null,
          receivers: [],
          name: '',
          frontier: [],
          boxesFor: [],
          handOut: [],
          previous: [],
          ...part,
        };
        const entryDraft = buildAccessEntry(draft, {
          drive,
          writer: signer.publicKey,
          cert: signWriterCertificate(who.device, who.certificate, drive, signer.publicKey, 1),
          links: access.graph.heads().map(unhex),
          epoch: { id, key: access.keyring.key(id) as Uint8Array },
          random,
        });
        const [entry] = await history.append([entryDraft]);
        access.add([entry as Entry]);
        return entry as Entry;
      },
    };
  }

  return {
    node,
    forger,
    clean(): void {
      for (const close of open.reverse()) close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Brings everything `from` has to `to`. */
export async function send(from: Drive, to: Drive) {
  return to.ingest([...from.missingFor(to.frontier())].map((entry) => entry.bytes));
}

/** Exchanges until all have the same entries. */
export async function gossip(...drives: Drive[]): Promise<void> {
  for (let round = 0; round < 4; round++) {
    for (const a of drives) for (const b of drives) if (a !== b) await send(a, b);
  }
}

export function text(content: string): FileContent {
  const inline = new Uint8Array(Buffer.from(content));
  const hash = new Uint8Array(createHash('sha256').update(inline).digest());
  return {
    kind: 'file',
    size: inline.length,
    mtime: 1000,
    exec: false,
    hash,
    inline,
    blockSize: 0,
    blocks: [],
  };
}

export function nodeId(name: string): NodeId {
  return createHash('sha256').update(name).digest('hex').slice(0, 32);
}

/** Every visible path with its content, sorted: what replicas compare. */
export function dump(drive: Drive): string[] {
  const lines: string[] = [];
  const walk = (id: NodeId, prefix: string): void => {
    for (const child of drive.tree.children(id)) {
      const path = `${prefix}${child.name}`;
      const content = child.content;
      const inline = content?.kind === 'file' ? Buffer.from(content.inline ?? []).toString() : '';
      lines.push(`${path} ${child.kind} ${child.id} ${inline} ${child.version} ${child.conflictOf ?? ''}`);
      if (child.kind === 'dir') walk(child.id, `${path}/`);
    }
  };
  walk('0'.repeat(32), '');
  return lines.sort();
}

/** The visible paths with their text, sorted. */
export function paths(drive: Drive): string[] {
  return dump(drive).map((line) => line);
}
