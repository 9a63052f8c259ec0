// `npm start`: a node on the usual data folder, with its page on this computer.
import { spawn } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { bootstrap, nodeFlags, requireNode, root } from './bootstrap.mjs';

bootstrap();
const start = path.join(root, 'src-main', 'headless', 'start.ts');
const child = spawn(requireNode(), [...nodeFlags, start], { stdio: 'inherit' });
// Ctrl-C reaches the child by itself; a signal to this process alone has to be passed on.
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : code));
