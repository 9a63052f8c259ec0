// `npm test`: types, lint, format, import rules, then the tests. With arguments: only vitest, with these
// (`npm test -- src-main/sync`). The last line counts the tests.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { bootstrap, nodeFlags, requireNode, root } from './bootstrap.mjs';
import { buildWindow } from './build-window.mjs';
import { ensurePrograms } from './programs.mjs';

bootstrap();
const node = requireNode();
const modules = path.join(root, 'node_modules');
// Tools that start a plain `node` get the pinned one, too.
const env = {
  ...process.env,
  PATH: [path.dirname(node), path.join(modules, '.bin'), process.env.PATH].join(path.delimiter),
};

/** Runs a script of a package under the pinned Node. */
function run(script, args, stdio) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [...nodeFlags, path.join(modules, script), ...args], { cwd: root, env, stdio });
    let output = '';
    child.stdout?.on('data', (chunk) => (output += chunk));
    child.stderr?.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ ok: code === 0, output }));
  });
}

const tsc = (project) => ['typescript/bin/tsc', ['-p', project, '--noEmit']];
const checks = [
  ['types', ...tsc('tsconfig.json')],
  ['types of src-shared, with neither Node nor DOM', ...tsc('src-shared/tsconfig.json')],
  ['types of the preload script, with DOM and no Node', ...tsc('src-main/preload/tsconfig.json')],
  ['types of the window', 'vue-tsc/bin/vue-tsc.js', ['-p', 'src-renderer/tsconfig.json', '--noEmit']],
  ['types of the apps', ...tsc('assets/apps/tsconfig.json')],
  ['lint', 'oxlint/bin/oxlint', ['--type-aware', '--deny-warnings']],
  ['format', 'prettier/bin/prettier.cjs', ['--check', '--log-level=warn', '.']],
  [
    'import rules',
    'dependency-cruiser/bin/dependency-cruise.mjs',
    ['src-main', 'src-shared', 'src-renderer', '--config', '.dependency-cruiser.cjs'],
  ],
];

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

async function check([name, script, args]) {
  const start = performance.now();
  const { ok, output } = await run(script, args, ['ignore', 'pipe', 'pipe']);
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds(start)})`);
  if (!ok) console.log(output.trimEnd());
  return ok;
}

async function test(args) {
  const folder = mkdtempSync(path.join(tmpdir(), 'extrachain-test-'));
  const report = path.join(folder, 'report.json');
  const start = performance.now();
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const { ok } = await run('vitest/vitest.mjs', ['run', ...reporters, ...args], 'inherit');
    console.log(`${ok ? 'ok    ' : 'FAILED'} tests (${seconds(start)})`);
    let counts = {
      numPassedTests: 0,
      numFailedTests: 0,
      numPendingTests: 0,
      numTodoTests: 0,
      numFailedTestSuites: 0,
    };
    try {
      counts = JSON.parse(readFileSync(report, 'utf8'));
    } catch {
      console.log('vitest wrote no report');
    }
    // A file that fails before its first test counts as one failure, or a green line would hide it.
    const failed = Math.max(counts.numFailedTests, ok ? 0 : 1);
    console.log(
      `${counts.numPassedTests} passed, ${failed} failed, ${counts.numPendingTests + counts.numTodoTests} skipped`,
    );
    return ok;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const args = process.argv.slice(2);
// The daemons of the tests serve the window: built once before, and not by the first of them beside its test.
let ok = buildWindow();
if (args.length === 0) {
  // All of the cheap ones, that one run tells everything they find; the tests only when these are well.
  for (const one of checks) ok = (await check(one)) && ok;
}
if (ok && args.length === 0) ensurePrograms();
if (ok) ok = await test(args);
process.exitCode = ok ? 0 : 1;
