import { expect, test } from 'vitest';
import { tempDir } from '../support/daemon.ts';
import { runBank } from './bank.ts';

const seed = Number(process.env['EXTRACHAIN_BANK_SEED'] ?? 1);
const perturbations = Number(process.env['EXTRACHAIN_BANK_PERTURBATIONS'] ?? 4);
const outage = Number(process.env['EXTRACHAIN_BANK_OUTAGE'] ?? 1500);

test(
  `four validator processes, killed, paused, cut off and restarted while clients move money (seed ${seed})`,
  {
    timeout: 120_000 + perturbations * 90_000,
  },
  async () => {
    const temp = await tempDir('bank');
    try {
      const result = await runBank({
        seed,
        dir: temp.dir,
        perturbations,
        outage,
        consensus: {
          blockInterval: 200,
          emptyBlockInterval: 1000,
          propose: 600,
          prevote: 300,
          precommit: 300,
        },
        ...(process.env['EXTRACHAIN_BANK_LOG'] ? { log: (line) => process.stdout.write(`${line}\n`) } : {}),
      });
      process.stdout.write(`${JSON.stringify(result)}\n`);
      expect(result.acknowledged).toBe(result.transfers);
      expect(result.heights).toBeGreaterThan(perturbations);
    } finally {
      await temp.remove();
    }
  },
);
