/** Lets others have the main thread when a slice of work has taken long enough. */
export interface Pace {
  /** Resolves at once while there is time left in this slice, otherwise after other events had their turn. */
  breathe(): Promise<void>;
}

/** @param budget ms of work between breaths */
export function createPace(budget = 4): Pace {
  let since = performance.now();
  return {
    async breathe() {
      if (performance.now() - since < budget) return;
      await new Promise<void>((done) => setImmediate(done));
      since = performance.now();
    },
  };
}

/** Runs functions one after another, in the order they came. */
export function createMutex(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next.catch(() => {});
    return next;
  };
}
