import { onTestFinished } from 'vitest';
import { createComputers, type Computer } from './computers.ts';

/** Computers with these names (and roles), not started; gone when the test ends. */
export async function createLab(...args: Parameters<typeof createComputers>) {
  const lab = await createComputers(...args);
  onTestFinished(() => lab.clean());
  return lab;
}

/** Alice and Bob, who share a drive. */
export async function pair(name: string) {
  const lab = await createLab(name, ['alice', 'bob']);
  const [alice, bob] = (await lab.start()) as [Computer, Computer];
  return { lab, alice, bob };
}

/** Waits until something is so. @throws Error that names it, after half a minute */
export async function eventually(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`It did not come to that: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
