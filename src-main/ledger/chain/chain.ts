import { mkdir } from 'node:fs/promises';
import { createFullChain } from './full-chain.ts';
import { createLightChain } from './light-chain.ts';
import type { Chain, ChainDeps, ChainOptions } from './types.ts';

/**
 * Builds one chain; nothing runs before `start`.
 * @throws AppError `invalid_argument`, and those of opening its files: `corrupt`, `disk_full`, `permission_denied`
 */
export async function createChain(deps: ChainDeps, options: ChainOptions): Promise<Chain> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  return options.role === 'light' ? createLightChain(deps, options) : createFullChain(deps, options);
}
