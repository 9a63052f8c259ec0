import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ElectronParts } from './electron-parts.ts';

/** The argument with which the system starts us: the node runs, the window stays closed. */
const hiddenFlag = '--hidden';

/** Whether the system started us by itself with the person's session: then the window stays closed. macOS passes no arguments. */
export function startsHidden({
  electron: { app },
  argv,
  platform,
}: {
  readonly electron: Pick<ElectronParts, 'app'>;
  readonly argv: readonly string[];
  readonly platform: NodeJS.Platform;
}): boolean {
  return argv.includes(hiddenFlag) || (platform === 'darwin' && app.getLoginItemSettings().wasOpenedAtLogin);
}

/** Starting with the person's session. */
export interface LoginItem {
  isOn(): boolean;
  set(on: boolean): Promise<void>;
}

/**
 * A file for `autostart` as the Desktop Entry Specification has it.
 * @param program absolute path
 */
export function autostartEntry(program: string): string {
  // Quoted as an argument of Exec, then escaped as a string of the file; a percent sign would begin a field code.
  const quoted = program
    .replace(/["`$\\]/g, String.raw`\$&`)
    .replace(/%/g, '%%')
    .replace(/\\/g, String.raw`\\`);
  return [
    '[Desktop Entry]',
    'Type=Application',
    'Name=ExtraChain',
    `Exec="${quoted}" ${hiddenFlag}`,
    'Terminal=false',
    'X-GNOME-Autostart-enabled=true',
    '',
  ].join('\n');
}

/** Linux: a file in the folder of programs that desktops start. macOS, Windows: what Electron knows. */
export async function createLoginItem(
  { app }: Pick<ElectronParts, 'app'>,
  host: {
    readonly platform: NodeJS.Platform;
    /** The person's folder of configuration files. */
    readonly configDir: string;
    /** What is to be started. */
    readonly program: string;
  },
): Promise<LoginItem> {
  if (host.platform !== 'linux') {
    const options = { args: [hiddenFlag] };
    return {
      isOn: () => app.getLoginItemSettings(options).openAtLogin,
      set(openAtLogin) {
        app.setLoginItemSettings({ ...options, openAtLogin });
        return Promise.resolve();
      },
    };
  }
  const file = path.join(host.configDir, 'autostart', 'extrachain.desktop');
  let on = await readFile(file, 'utf8').then(
    (text) => !/^Hidden=true$/m.test(text),
    () => false,
  );
  return {
    isOn: () => on,
    async set(next) {
      if (next) {
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(file, autostartEntry(host.program));
      } else {
        await rm(file, { force: true });
      }
      on = next;
    },
  };
}
