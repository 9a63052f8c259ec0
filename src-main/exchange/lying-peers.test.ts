import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FrameStream, ProtocolOptions } from '../network/index.ts';
import { encodeBlockFrame, decodeBlockFrame } from './block-frames.ts';
import type { BlockFrame } from './block-frames.ts';
import type { Entry } from '../history/index.ts';
import { decodeHistoryMessage, encodeHistoryMessage } from './history-messages.ts';
import { limits } from './limits.ts';
import { makeEntry } from './testing/memory-drive.ts';
import { createMemoryHub } from './testing/memory-network.ts';
import type { MemoryHub, MemoryNode } from './testing/memory-network.ts';
import { createReplica, driveId, makeBlocks, put, requestsFor, until } from './testing/world.ts';
import type { Replica } from './testing/world.ts';

const open: ProtocolOptions = { maxFrame: 64 << 20, maxStreams: 99, idleTimeout: 0, maxRate: 0 };
const never = new AbortController().signal;

let hub: MemoryHub;
let honest: MemoryNode;
let liar: MemoryNode;
let replica: Replica;

beforeEach(async () => {
  hub = createMemoryHub();
  honest = hub.node('honest');
  liar = hub.node('liar');
  hub.card('honest', 'user honest');
  hub.card('liar', 'user liar');
  replica = await createReplica(honest, 'honest', ['honest', 'liar']);
});
afterEach(async () => {
  await replica.exchange.stop();
});

/** Lets the liar serve a protocol by hand. */
function serve(protocol: string, handler: (stream: FrameStream) => Promise<void>): void {
  liar.handle(protocol, open, handler);
}

/** The honest side still works with its drive: counts and refuses are checked by each test before. */
function penalties(): string[] {
  return honest.penalties.get('liar') ?? [];
}

describe('a member that lies about history', () => {
  const serveEntries = (entries: readonly Uint8Array[], times = 1): void =>
    serve('history/1', async (stream) => {
      decodeHistoryMessage((await stream.read())!);
      for (let i = 0; i < times; i++) await stream.send(encodeHistoryMessage({ t: 'entries', entries }));
      await stream.read();
    });

  test('garbage instead of an entry is refused and counted, the drive keeps what it has', async () => {
    const kept = replica.drive.append(3);
    serveEntries([new Uint8Array(50).fill(7)]);
    hub.connect('honest', 'liar');
    await until(() => penalties().length > 0);
    expect(replica.drive.entries()).toEqual(kept);
  });

  test('an unknown writer is refused and counted', async () => {
    serveEntries([makeEntry('nobody', 0, null, 10).bytes]);
    hub.connect('honest', 'liar');
    await until(() => penalties().some((reason) => reason.includes('unknown_writer')));
    expect(replica.drive.entries()).toEqual([]);
  });

  test('entries replayed without end are cut off', async () => {
    serveEntries([makeEntry('liar', 0, null, 10).bytes], 100_000);
    hub.connect('honest', 'liar');
    await until(() => penalties().length > 0);
    expect(replica.drive.entries().length).toBe(1);
    expect(replica.drive.ingests.calls).toBeLessThan(50);
  });

  test('entries under way when it is asked again may come once more, with the answer', async () => {
    const entries: Entry[] = [];
    for (let seq = 0; seq < 40; seq++)
      entries.push(makeEntry('liar', seq, entries.at(-1)?.hash ?? null, 10 + seq));
    const bytes = entries.map((entry) => entry.bytes);
    const { writer, incarnation, seq } = entries.at(-1)!.header;
    const tips = encodeHistoryMessage({
      t: 'tips',
      frontier: [{ writer, incarnation, seq, hash: entries.at(-1)!.hash }],
      rest: 'busy',
    });
    let ended = false;
    serve('history/1', async (stream) => {
      decodeHistoryMessage((await stream.read())!);
      await stream.send(tips);
      // It lacks what the tips name, so it asks.
      expect(decodeHistoryMessage((await stream.read())!).t).toBe('have');
      await stream.send(encodeHistoryMessage({ t: 'entries', entries: bytes }));
      await stream.send(encodeHistoryMessage({ t: 'entries', entries: bytes }));
      await stream.send(tips);
      await until(() => replica.drive.ingests.calls >= 2);
      ended = true;
      await stream.read();
    });
    hub.connect('honest', 'liar');
    await until(() => ended || penalties().length > 0);
    expect(penalties()).toEqual([]);
    expect(replica.drive.entries().length).toBe(40);
  });

  test('endless garbage ends the stream and in the end the connection', async () => {
    const garbage = new Uint8Array(1 << 20).fill(0xff);
    hub.connect('honest', 'liar');
    for (let i = 0; i < 10 && honest.peers().length > 0; i++) {
      const stream = await liar.open('honest', 'history/1', open);
      for (let j = 0; j < 100; j++) await stream.send(garbage).catch(() => {});
      await stream.closed;
    }
    expect(penalties().length).toBe(5);
    expect(honest.peers()).toEqual([]);
  });

  test('an oversized frame is refused', async () => {
    hub.connect('honest', 'liar');
    const stream = await liar.open('honest', 'history/1', open);
    await stream.send(new Uint8Array(limits.historyFrame + 1)).catch(() => {});
    await until(() => penalties().length === 1);
    await expect(stream.read()).rejects.toThrow();
  });

  test('a subscriber that plays the server is refused', async () => {
    hub.connect('honest', 'liar');
    const stream = await liar.open('honest', 'history/1', open);
    await stream.send(encodeHistoryMessage({ t: 'hello', drive: driveId, frontier: [] }));
    await stream.send(
      encodeHistoryMessage({ t: 'entries', entries: [makeEntry('liar', 0, null, 10).bytes] }),
    );
    await until(() => penalties().length === 1);
    expect(replica.drive.entries()).toEqual([]);
  });
});

describe('a member that lies about blocks', () => {
  const answer = (reply: (wanted: BlockFrame & { t: 'want' }, stream: FrameStream) => Promise<void>): void =>
    serve('blocks/1', async (stream) => {
      for (;;) {
        const bytes = await stream.read();
        if (bytes === null) return;
        const frame = decodeBlockFrame(bytes);
        if (frame.t === 'want') await reply(frame, stream);
      }
    });

  async function fetchFails(): Promise<void> {
    const blocks = makeBlocks(5, 1000);
    hub.connect('honest', 'liar');
    await expect(replica.exchange.fetch(driveId, requestsFor(blocks), never)).rejects.toMatchObject({
      code: 'gone',
    });
  }

  test('wrong bytes', async () => {
    answer((wanted, stream) =>
      stream.send(
        encodeBlockFrame({
          t: 'blocks',
          blocks: wanted.wants.map(({ id }) => ({ id, bytes: new Uint8Array(9) })),
        }),
      ),
    );
    await fetchFails();
    expect(penalties().length).toBe(5);
    expect(honest.peers()).toEqual([]);
  });

  test('a block nobody asked for', async () => {
    answer((_, stream) =>
      stream.send(
        encodeBlockFrame({ t: 'blocks', blocks: [{ id: new Uint8Array(32), bytes: new Uint8Array(9) }] }),
      ),
    );
    await fetchFails();
    expect(penalties().length).toBeGreaterThan(0);
  });

  test('a block larger than it can be', async () => {
    answer((wanted, stream) =>
      stream.send(
        encodeBlockFrame({ t: 'blocks', blocks: [{ id: wanted.wants[0]!.id, bytes: new Uint8Array(5000) }] }),
      ),
    );
    await fetchFails();
    expect(penalties().length).toBeGreaterThan(0);
  });

  test('garbage', async () => {
    answer((_, stream) => stream.send(new Uint8Array(1000).fill(3)));
    await fetchFails();
    expect(penalties().length).toBeGreaterThan(0);
  });

  test('one that understates sizes, to make us read too much, is cut off', async () => {
    hub.connect('honest', 'liar');
    const blocks = makeBlocks(100, 100_000);
    put(replica.source, blocks);
    const stream = await liar.open('honest', 'blocks/1', open);
    const wants = blocks.map(({ ref }) => ({ id: ref.id, size: 1 }));
    await stream.send(encodeBlockFrame({ t: 'want', drive: driveId, wants }));
    await until(() => penalties().length === 1);
    expect(replica.source.reads).toBeLessThanOrEqual(16);
  });

  test('one that asks for more than it may is cut off', async () => {
    hub.connect('honest', 'liar');
    replica.source.read = () => new Promise(() => {});
    const stream = await liar.open('honest', 'blocks/1', open);
    for (let i = 0; i < 20 && penalties().length === 0; i++) {
      const wants = makeBlocks(250, 32, i).map(({ ref }) => ({ id: ref.id, size: 20_000 }));
      await stream.send(encodeBlockFrame({ t: 'want', drive: driveId, wants })).catch(() => {});
    }
    await until(() => penalties().length === 1);
  });

  test('one that is no member is refused, and dropped when it goes on', async () => {
    replica.drive.setRole('user liar', null);
    const blocks = makeBlocks(40, 1000);
    put(replica.source, blocks);
    hub.connect('honest', 'liar');
    const stream = await liar.open('honest', 'blocks/1', open);
    await stream.send(
      encodeBlockFrame({
        t: 'want',
        drive: driveId,
        wants: blocks.slice(0, 1).map(({ ref }) => ({ id: ref.id, size: 2000 })),
      }),
    );
    expect(decodeBlockFrame((await stream.read())!)).toEqual({ t: 'forbidden', drive: driveId });
    for (let i = 0; i < 700; i++) {
      const { ref } = blocks[i % blocks.length]!;
      await stream
        .send(encodeBlockFrame({ t: 'want', drive: driveId, wants: [{ id: ref.id, size: 2000 }] }))
        .then(() => stream.read())
        .catch(() => {});
    }
    expect(honest.peers()).toEqual([]);
    expect(replica.source.reads).toBe(0);
  });
});
