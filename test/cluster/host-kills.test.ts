import { expect, it } from 'vitest';
import { startHostKills } from '../soak/host-kills.ts';

it('loses nothing when two of three hosts are killed while the drive is written to', async () => {
  const kills = await startHostKills(3, 78);
  try {
    await expect(kills.round()).resolves.toBeUndefined();
  } finally {
    await kills.stop();
  }
}, 180_000);
