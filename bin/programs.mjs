// System programs that some tests need. Installed through apt where that is possible (root on Debian and its kin); elsewhere those
// tests skip and say why.
import { spawnSync } from 'node:child_process';
import process from 'node:process';

/** Program to look for, and the Debian package that brings it. */
const wanted = [
  ['chromium', 'chromium'], // the window's tests
  ['ip', 'iproute2'], // network namespaces
  ['nft', 'nftables'], // masquerade between them
  ['ffprobe', 'ffmpeg'], // another reader and writer of what streams and recordings are
];

const has = (program) => spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0;

/** Looks for the programs and installs what is missing; never fails. */
export function ensurePrograms() {
  const missing = wanted.filter(([program]) => !has(program));
  if (missing.length === 0) return;
  const names = missing.map(([program]) => program).join(', ');
  if (process.getuid?.() !== 0 || !has('apt-get')) {
    console.log(`not installed here: ${names}; the tests that need them are skipped`);
    return;
  }
  console.log(`installing for the tests: ${names}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const packages = missing.map(([, name]) => name);
  const apt = (...args) =>
    spawnSync('apt-get', ['-qq', ...args], { stdio: ['ignore', 'ignore', 'pipe'], env, timeout: 240_000 });
  const done = apt('update').status === 0 && apt('install', '-y', '--no-install-recommends', ...packages);
  if (!done || done.status !== 0)
    console.log('apt could not install them; the tests that need them are skipped');
}
