import { Command } from '@commander-js/extra-typings';
import { runCommand } from './session.ts';
import type { Answer, GlobalOptions, Session } from './session.ts';
import { addAppCommands } from './commands/apps.ts';
import { addChainCommands } from './commands/chain.ts';
import { addDaemonCommand } from './commands/daemon.ts';
import { addDeviceCommands, addIdentityCommands } from './commands/identity.ts';
import { addDriveCommands } from './commands/drives.ts';
import { addDriveHostCommands, addHostCommands } from './commands/hosting.ts';
import { addFileCommands, addTrashCommands } from './commands/files.ts';
import { addNetCommands, addSettingsCommands } from './commands/net.ts';
import { addNodeCommands } from './commands/node.ts';
import { addCollectionCommands } from './commands/collections.ts';
import { addDirectoryCommands } from './commands/directory.ts';
import { addNameCommands, addPoolCommands, addVaultCommands } from './commands/markets.ts';
import { addServiceCommands } from './commands/services.ts';
import { addStreamCommands } from './commands/streams.ts';
import { addSigningCommands } from './commands/signing.ts';
import { addPersonCommands } from './commands/people.ts';
import { addStorageCommands } from './commands/storage.ts';
import { addVerifyCommand } from './commands/verify.ts';
import { addStakeCommands, addTokenCommands, addWalletCommands } from './commands/wallet.ts';

/** Runs the body of one command with the options given before or after its name. */
export type Run = (body: (session: Session) => Promise<Answer | null>) => Promise<void>;

/**
 * The whole command line. Wrong usage throws a CommanderError.
 * @param version printed by `--version`
 */
export function createProgram(version: string) {
  const program = new Command('extrachain')
    .description('Peer-to-peer folders with a full node inside.')
    // Only the short flag: `--version V` names a version of a file. `main` answers `extrachain --version`.
    .version(version, '-V', 'prints the version of extrachain')
    .option('--data <dir>', "the node's folder (or EXTRACHAIN_DATA)")
    .option('--json', 'print exactly one JSON value on stdout')
    // Inherited by every command made below.
    .exitOverride()
    .showHelpAfterError('(add --help for what is possible)');
  const run: Run = (body) => runCommand(program.opts() as GlobalOptions, body);
  // The adders need no more of it than that commands can be added.
  const commands = program as unknown as Command;
  addDaemonCommand(commands, run);
  addNodeCommands(commands, run);
  addIdentityCommands(commands, run);
  addDeviceCommands(commands, run);
  addDriveCommands(commands, run);
  addDriveHostCommands(commands, run);
  addHostCommands(commands, run);
  addPersonCommands(commands, run);
  addDirectoryCommands(commands, run);
  addStreamCommands(commands, run);
  addAppCommands(commands, run);
  addCollectionCommands(commands, run);
  addServiceCommands(commands, run);
  addFileCommands(commands, run);
  addTrashCommands(commands, run);
  addVerifyCommand(commands, run);
  addChainCommands(commands, run);
  addWalletCommands(commands, run);
  addTokenCommands(commands, run);
  addStakeCommands(commands, run);
  addSigningCommands(commands, run);
  addPoolCommands(commands, run);
  addVaultCommands(commands, run);
  addNameCommands(commands, run);
  addStorageCommands(commands, run);
  addNetCommands(commands, run);
  addSettingsCommands(commands, run);
  return program;
}
