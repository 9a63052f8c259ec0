/**
 * One connection as the kernel sees it: whole text messages, in order. Carriers: MessagePort, WebSocket, memory.
 * Nothing is said about who is at the other end; a carrier is opened only for those who may speak.
 */
export interface Port {
  send(message: string): void;
  /** One listener each; set before the first message can come. */
  onMessage(listener: (message: unknown) => void): void;
  onClose(listener: () => void): void;
  /** Closes both directions. Safe to call twice. */
  close(): void;
}

/**
 * The AbortSignal of the project that compiles this file. `src-shared` is compiled without the types of Node and of the
 * DOM, where only this much of it is known.
 */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer S } } ? S : SignalLike;
interface SignalLike {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
interface Controller {
  readonly signal: Signal;
  abort(reason?: unknown): void;
}

/** `new AbortController()`, which Node and browsers both have. */
export function createController(): Controller {
  const scope = globalThis as unknown as { AbortController: new () => Controller };
  return new scope.AbortController();
}
