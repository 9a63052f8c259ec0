import type { Events } from './runtime.ts';

/** The emitting side of `Events`. A listener that throws does not keep the others from being called. */
export interface Emitter<M extends Record<string, unknown>> extends Events<M> {
  emit<K extends keyof M>(name: K, value: M[K]): void;
}

/**
 * Makes a small synchronous event emitter.
 * @param onListenerError told what a listener threw
 */
export function createEmitter<M extends Record<string, unknown>>(
  onListenerError: (error: unknown) => void = () => {},
): Emitter<M> {
  const listeners = new Map<keyof M, Set<(value: never) => void>>();
  return {
    on(name, listener) {
      let set = listeners.get(name);
      if (!set) listeners.set(name, (set = new Set()));
      set.add(listener as (value: never) => void);
      return () => void set.delete(listener as (value: never) => void);
    },
    emit(name, value) {
      for (const listener of [...(listeners.get(name) ?? [])]) {
        try {
          listener(value as never);
        } catch (error) {
          onListenerError(error);
        }
      }
    },
  };
}
