/** Links that came from outside and wait for the window to ask about them. */
export interface LinkInbox {
  add(links: readonly string[]): void;
  /** Hands out what waits; it then waits no more. */
  take(): readonly string[];
  on(listener: () => void): () => void;
}

/** More would only come from a program that means harm. */
const mostWaiting = 20;

export function createLinkInbox(): LinkInbox {
  const waiting: string[] = [];
  const listeners = new Set<() => void>();
  return {
    add(links) {
      for (const link of links)
        if (waiting.length < mostWaiting && !waiting.includes(link)) waiting.push(link);
      if (links.length > 0) for (const listener of listeners) listener();
    },
    take: () => waiting.splice(0),
    on(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
