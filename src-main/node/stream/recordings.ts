import { access, mkdir, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { createRecorder, finishRecording } from '../../stream/index.ts';
import type { Recorder, RenditionKind } from '../../stream/index.ts';

/** Where recordings grow: in the drive's folder, so that the last step is a rename, and where no sync looks. */
const growing = path.join('.extrachain', 'recordings');

/** A recording into the folder of a drive. */
export interface Recording extends Recorder {
  /** What it will be called unless that name is taken by then; from the drive's root. */
  readonly name: string;
}

/**
 * Begins to record into a drive's folder.
 * @param started ms since the epoch, for the name
 */
export async function beginRecording(
  folder: string,
  what: {
    readonly title: string;
    readonly kind: RenditionKind;
    readonly streamId: string;
    readonly started: number;
  },
  clock: Clock,
): Promise<Recording> {
  const dir = path.join(folder, growing);
  await mkdir(dir, { recursive: true });
  const extension = what.kind === 'data' ? 'bin' : 'mp4';
  const stem = `${fileNameOf(what.title)} ${stampOf(what.started)}`;
  const name = `${stem}.${extension}`;
  // Its last name is part of the first, so that a restart can finish what was interrupted.
  const working = (n: number): string =>
    path.join(dir, `${what.streamId.slice(0, 8)}-${n} ${stem}.${extension}`);
  const recorder = createRecorder(what.kind, { working, place: () => freeName(folder, name) }, () =>
    clock.now(),
  );
  return { ...recorder, name };
}

/**
 * Finishes recordings that were interrupted and puts them into place. Answers what they are called now.
 * @param live beginnings of the ids of streams that are recorded right now
 */
export async function recoverRecordings(
  folder: string,
  live: ReadonlySet<string>,
  logger: Logger,
): Promise<readonly string[]> {
  const dir = path.join(folder, growing);
  let files: string[];
  try {
    files = await readdir(dir);
  } catch {
    return [];
  }
  const placed: string[] = [];
  for (const file of files.sort()) {
    const name = /^[0-9a-f]{8}-\d+ (.+\.(?:mp4|bin))$/.exec(file)?.[1];
    if (name === undefined || live.has(file.slice(0, 8))) continue;
    const from = path.join(dir, file);
    try {
      if (name.endsWith('.mp4')) await finishRecording(from);
      const to = await freeName(folder, name);
      await rename(from, to);
      placed.push(path.basename(to));
    } catch (error) {
      // It stays where it is: what could not be finished may still be of use to a person.
      logger.warn({ err: error }, 'an interrupted recording could not be finished');
    }
  }
  return placed;
}

async function freeName(folder: string, name: string): Promise<string> {
  const { name: stem, ext } = path.parse(name);
  for (let n = 1; n < 1000; n++) {
    const file = path.join(folder, n === 1 ? name : `${stem} (${n})${ext}`);
    try {
      await access(file);
    } catch {
      return file;
    }
  }
  throw new AppError('already_exists', 'There are a thousand recordings of that name already.');
}

/** A title as the name of a file on every system. */
function fileNameOf(title: string): string {
  const clean = title
    .replaceAll(/[<>:"/\\|?*\p{Cc}]/gu, '-')
    .replaceAll(/\s+/g, ' ')
    .replace(/^[.\s]+|[.\s]+$/g, '');
  let name = '';
  for (const sign of clean) {
    if (Buffer.byteLength(name + sign) > 120) break;
    name += sign;
  }
  return name || 'Stream';
}

/** `2026-11-22 15.30.07`, UTC. */
const stampOf = (ms: number): string =>
  new Date(ms).toISOString().slice(0, 19).replace('T', ' ').replaceAll(':', '.');
