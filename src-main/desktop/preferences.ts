import { readFile } from 'node:fs/promises';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';

const fileName = 'desktop.json';
const maxBytes = 64 * 1024;

const schema = z.object({
  closeToTray: z.boolean().catch(true),
  notifications: z.boolean().catch(true),
  language: z.enum(['en', 'de']).nullable().catch(null),
  /** The person was told once that closing the window does not quit. */
  toldAboutTray: z.boolean().catch(false),
});
export type StoredPreferences = z.infer<typeof schema>;

export interface PreferenceStore {
  get(): StoredPreferences;
  set(change: Partial<StoredPreferences>): Promise<void>;
}

/** Reads what a file of preferences says; whatever makes no sense is as if it was not there. */
export function parsePreferences(text: string): StoredPreferences {
  try {
    return schema.parse(text.length > maxBytes ? {} : JSON.parse(text));
  } catch {
    return schema.parse({});
  }
}

/** Preferences of the desktop, in `desktop.json` of the data folder. */
export async function openPreferences(dataDir: string): Promise<PreferenceStore> {
  const file = path.join(dataDir, fileName);
  let current = parsePreferences(await readFile(file, 'utf8').catch(() => ''));
  let writing = Promise.resolve();
  return {
    get: () => current,
    set(change) {
      current = { ...current, ...change };
      const text = `${JSON.stringify(current, null, 2)}\n`;
      const write = () => writeFileAtomic(file, text, { mode: 0o600 });
      writing = writing.then(write, write);
      return writing;
    },
  };
}
