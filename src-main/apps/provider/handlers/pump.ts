/**
 * Hands the items of an iteration to a subscription.
 * @param failed told when it breaks; left out: it ends without a word
 * @returns ends it
 */
export function pump<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  send: (item: T) => void,
  failed: (error: unknown) => void = () => {},
): () => void {
  const end = new AbortController();
  void (async () => {
    for await (const item of open(end.signal)) {
      if (end.signal.aborted) return;
      send(item);
    }
  })().catch((error: unknown) => {
    if (!end.signal.aborted) failed(error);
  });
  return () => end.abort();
}
