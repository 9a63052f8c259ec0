/** Passes values from one side to the other, one at a time: `push` resolves when the value has been taken. */
export interface Channel<T> {
  push(value: T): Promise<void>;
  /** No more will come. */
  end(): void;
  /** The reader gets this error after what it has not taken yet is dropped. */
  fail(error: unknown): void;
  readonly values: AsyncIterable<T>;
}

export function createChannel<T>(): Channel<T> {
  let waiting: {
    readonly value: T;
    readonly taken: () => void;
    readonly lost: (error: unknown) => void;
  } | null = null;
  let ended = false;
  let failure: { readonly error: unknown } | null = null;
  let wake = (): void => {};

  async function* read(): AsyncGenerator<T> {
    try {
      for (;;) {
        if (failure) throw failure.error;
        if (waiting) {
          yield waiting.value;
          // Asked for the next one: this one has been dealt with.
          const dealtWith = waiting;
          waiting = null;
          dealtWith?.taken();
        } else if (ended) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      // Nobody reads any more; whoever still pushes must not wait for ever.
      failure ??= { error: new Error('The reader has gone.') };
      waiting?.lost(failure.error);
      waiting = null;
    }
  }

  return {
    push(value) {
      if (failure) return Promise.reject(failure.error as Error);
      return new Promise((taken, lost) => {
        waiting = { value, taken, lost };
        wake();
      });
    },
    end() {
      ended = true;
      wake();
    },
    fail(error) {
      failure ??= { error };
      waiting?.lost(error);
      waiting = null;
      wake();
    },
    values: read(),
  };
}
