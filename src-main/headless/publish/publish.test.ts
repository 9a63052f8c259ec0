import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { openFeed } from './publish.ts';

describe('publishing from a pipe', () => {
  it('does not wait for a writer who waits for the stream to begin, and loses nothing', async () => {
    const stdin = new PassThrough();
    const feed = await openFeed('-', { loop: false, data: false, media: false, stdin });
    expect(feed.rendition.kind).toBe('data');
    stdin.write('what came');
    stdin.end(' late');
    const bytes: Uint8Array[] = [];
    for await (const item of feed.items) if (item.t === 'part') bytes.push(item.part.bytes);
    expect(Buffer.concat(bytes).toString()).toBe('what came late');
  });
});
