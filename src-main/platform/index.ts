export type { Capabilities, Platform } from './types.ts';
export { headlessPlatform } from './headless.ts';
export { systemClock } from './clock.ts';
