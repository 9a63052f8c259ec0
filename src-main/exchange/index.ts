export type * from './types.ts';
export { createExchange } from './exchange.ts';
export type { ExchangeDeps, ExchangeOptions } from './exchange.ts';
