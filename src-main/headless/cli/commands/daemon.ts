import type { Command } from '@commander-js/extra-typings';
import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { isLoopback } from '../../server/guard.ts';
import { parseHostPort } from '../parse.ts';
import { readSecret } from '../secrets.ts';
import type { Run } from '../program.ts';

const collect = (value: string, before: string[]) => [...before, value];

function parseUi(text: string) {
  const ui = parseHostPort(text);
  if (!isLoopback(ui.host)) {
    throw new InvalidArgumentError('The page is served on this computer only: 127.0.0.1, ::1 or localhost.');
  }
  return ui;
}

export function addDaemonCommand(program: Command, run: Run): void {
  program
    .command('daemon')
    .description('runs the node in the foreground until it is told to stop')
    .option('--listen <multiaddr>', 'an address to listen on; may be given often', collect, [])
    .option('--bootstrap <multiaddr>', 'a peer to stay connected to; may be given often', collect, [])
    .option('--ui <host:port>', 'where the page is, on this computer only', parseUi, {
      host: '127.0.0.1',
      port: 0,
    })
    .option('--no-mdns', 'does not look for peers in the local network')
    .option('--password-file <file>', 'opens the keystore (- for standard input)')
    .option('--gateway <host:port>', 'serves public and unlisted drives to browsers', parseHostPort)
    .addOption(
      new Option('--log <level>', 'what goes to stderr')
        .choices(['silent', 'error', 'warn', 'info', 'debug'] as const)
        .default('warn' as const),
    )
    .action((options) =>
      run(async (session) => {
        const { runDaemon } = await import('../../daemon.ts');
        await runDaemon({
          dataDir: session.dataDir,
          listen: options.listen,
          bootstrap: options.bootstrap,
          mdns: options.mdns,
          password:
            options.passwordFile === undefined ? null : await readSecret(options.passwordFile, 'password'),
          logLevel: options.log,
          ui: options.ui,
          gateway: options.gateway,
          onReady: (ready) => process.stdout.write(`${JSON.stringify(ready)}\n`),
        });
        return null;
      }),
    );
}
