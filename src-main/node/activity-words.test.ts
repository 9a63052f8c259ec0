import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { AppError } from '../../src-shared/errors.ts';
import { activityWords } from './activity-words.ts';

const i18n = path.resolve(import.meta.dirname, '../../src-renderer/i18n');
const said = [
  activityWords.linked(),
  activityWords.linkingEnded(),
  activityWords.freed(2, 100),
  activityWords.folderShared('a'),
  activityWords.folderJoined('a'),
  activityWords.roleKept('a', 'b'),
  activityWords.signatureWanted(),
  activityWords.chainLight('n'),
  activityWords.chainFull('n'),
  activityWords.chainBroken('n', 'why'),
  activityWords.cardOld(),
  activityWords.walletAsked('n'),
  activityWords.fork(3),
  activityWords.live('t'),
  activityWords.recordingFinished('f'),
  activityWords.drivesFound(['a', 'b']),
  activityWords.driveShared('n'),
  activityWords.joinedByLink('reader', 'exc1'),
].map((one) => one.said!);

test.each(['en', 'de'])('the window has a sentence for everything the node tells of, in %s', (language) => {
  const { activity, errors } = JSON.parse(readFileSync(path.join(i18n, `${language}.json`), 'utf8')) as {
    activity: { said: Record<string, string> };
    errors: Record<string, string>;
  };
  for (const { code, values } of said) {
    const holes = [...(activity.said[code] ?? '').matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect(activity.said, code).toHaveProperty(code);
    expect(Object.keys(values), code).toEqual(expect.arrayContaining(holes));
  }
  // Nothing is left of sentences that nobody says any more.
  expect(Object.keys(activity.said).sort()).toEqual(said.map(({ code }) => code).sort());
  expect(Object.keys(said).length).toBe(Object.keys(activityWords).length - 1);
  const failure = activityWords.failure(new AppError('disk_full', 'The disk is full.'));
  expect(errors).toHaveProperty(String(failure.said?.values['code']));
});
