import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/node', import.meta.url)));
const { runCommand } = await import('./cli/session.ts');

// `npm start`: the daemon with what is usual, said in words.
await runCommand({}, async ({ dataDir }) => {
  const { runDaemon } = await import('./daemon.ts');
  const { hasScreen, openPage } = await import('./open-page.ts');
  let closePage = async (): Promise<void> => {};
  await runDaemon({
    dataDir,
    listen: [],
    bootstrap: [],
    mdns: true,
    password: null,
    logLevel: 'warn',
    ui: { host: '127.0.0.1', port: 0 },
    onReady({ peerId, userId, addresses, ui }) {
      process.stdout.write(
        [
          'ExtraChain runs. Its page, for you alone, is',
          '',
          `  ${ui}`,
          '',
          `data folder  ${dataDir}`,
          `user         ${userId ?? 'none yet; make one with: bin/extrachain id create'}`,
          `peer         ${peerId}`,
          ...addresses.map((address) => `address      ${address}`),
          '',
          'Ctrl-C stops it.',
          '',
        ].join('\n'),
      );
      const { platform, env, stdout } = process;
      if (!hasScreen({ platform, env, terminal: stdout.isTTY })) return;
      void openPage(ui, dataDir).then((close) => (closePage = close));
    },
  });
  await closePage();
  process.stdout.write('Stopped.\n');
  return null;
});
