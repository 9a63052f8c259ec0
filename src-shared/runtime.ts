/** The outside world as values that are handed in, so that a seeded simulator can stand in for it. */

/** Milliseconds since the epoch, and timers. */
export interface Clock {
  now(): number;
  /** Calls `fn` once after `ms`; the returned function cancels it. */
  after(ms: number, fn: () => void): () => void;
}

/** `n` random bytes, unpredictable in production and seeded in simulations. */
export type RandomBytes = (n: number) => Uint8Array;

/** Structured log lines. Never secrets; names and paths only at `debug`. */
export interface Logger {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** A service: built by a factory, started and stopped once by its owner. `stop` waits for what is under way. */
export interface Service {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A typed event source: `on` returns the function that removes the listener. */
export interface Events<M extends Record<string, unknown>> {
  on<K extends keyof M>(name: K, listener: (value: M[K]) => void): () => void;
}
