export type * from './types.ts';
export { createExchange } from './exchange.ts';
export type { ExchangeDeps, ExchangeOptions } from './exchange.ts';
export * from './source-choice.ts';
export { drainMs } from './pacing.ts';
export { createRateMeter } from './rate-meter.ts';
export type { RateMeter } from './rate-meter.ts';
