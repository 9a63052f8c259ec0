import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeDirectoryFrame } from './directory.ts';
import {
  createMemory,
  encode,
  play,
  startStreamNode,
  testInit,
  testPayload,
  testStart,
  until,
} from './testing/world.ts';
import type { StartOptions } from './streams-types.ts';
import type { StreamNode, StreamNodeOptions } from './testing/world.ts';
import { wallClock } from '../../src-shared/wall-clock.ts';

const none = new AbortController().signal;
const running: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
});

let names = 0;
async function node(ip: number, options: StreamNodeOptions = {}): Promise<StreamNode> {
  const one = await startStreamNode(`node ${names++}`, `127.0.7.${ip}`, options);
  running.push(one);
  return one;
}

async function soon(what: () => boolean, why?: string): Promise<void> {
  await until(what, 40_000, why);
}

async function soonAsync(what: () => Promise<boolean>): Promise<void> {
  await expect.poll(what, { timeout: 90_000, interval: 50 }).toBe(true);
}

/** A stream that is sent, with a repeater that has the only place at the source. */
async function chain(
  options: { repeater?: StreamNodeOptions; viewer?: StreamNodeOptions; start?: Partial<StartOptions> } = {},
) {
  const source = await node(1);
  const repeater = await node(2, { relay: 'on', ...options.repeater });
  const { streamId, link } = await source.streams.begin(testStart({ fanOut: 1, ...options.start }), none);
  const encoder = await encode(source.streams.ingest(streamId));
  running.push(encoder);
  await repeater.network.connect(source.network.addresses()[0]!);
  await soon(
    () => source.streams.stats(streamId).children.includes(repeater.network.peerId),
    'the repeater joins',
  );
  const viewer = await node(3, options.viewer);
  return { source, repeater, viewer, streamId, link, encoder };
}

const right = (player: ReturnType<typeof play>): boolean =>
  [...player.parts].every(([seq, bytes]) => Buffer.compare(bytes, testPayload('v', seq, 20_000)) === 0);

describe('a stream between nodes', () => {
  it('reaches a viewer byte for byte, goes on after its encoder began anew, and ends for everybody', async () => {
    const source = await node(1);
    const viewer = await node(2);
    const { streamId, link } = await source.streams.begin(testStart(), none);
    const encoder = await encode(source.streams.ingest(streamId));
    await viewer.streams.watch(link, none);
    const player = play(viewer, streamId);
    running.push(player);
    await soon(() => player.parts.size > 8, 'parts');
    expect(right(player)).toBe(true);
    expect(viewer.streams.stats(streamId)).toMatchObject({
      depth: 1,
      parent: source.network.peerId,
      rejected: 0,
      gaps: 0,
    });
    await soon(() => source.streams.stats(streamId).viewers === 1, 'the viewer is counted');
    await encoder.stop();
    const again = await encode(source.streams.ingest(streamId));
    await soon(() => viewer.streams.stats(streamId).run === 1, 'the next run');
    const seen = player.parts.size;
    await soon(() => player.parts.size > seen + 3, 'parts of the next run');
    const list = await viewer.streams.playback(streamId).get('v/index.m3u8', new URLSearchParams(), none);
    expect(Buffer.from(list.body as Uint8Array).toString()).toContain(
      '#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init-1.mp4"',
    );
    await again.stop();
    await source.streams.end(streamId);
    await soon(() => player.ended(), 'the end');
    await expect(source.streams.ingest(streamId).init('v', testInit())).rejects.toMatchObject({
      code: 'stream_ended',
    });
  });

  it('goes through a repeater, which knows nothing of it but passes it on, also encrypted; others get nothing', async () => {
    const source = await node(1);
    const repeater = await node(2, { relay: 'on' });
    const viewer = await node(3);
    const stranger = await node(4);
    for (const one of [repeater, viewer, stranger]) await one.network.connect(source.network.addresses()[0]!);
    const { streamId, link } = await source.streams.begin(
      testStart({ fanOut: 1, audience: [viewer.user] }),
      none,
    );
    running.push(await encode(source.streams.ingest(streamId)));
    await soon(
      () => source.streams.stats(streamId).children.includes(repeater.network.peerId),
      'the repeater joins',
    );
    await viewer.streams.watch(link, none);
    const player = play(viewer, streamId);
    running.push(player);
    await soon(() => player.parts.size > 5, 'parts');
    expect(right(player)).toBe(true);
    expect(viewer.streams.stats(streamId)).toMatchObject({ depth: 2, parent: repeater.network.peerId });
    // It holds the parts and cannot open one.
    expect(repeater.streams.stats(streamId).parts).toBeGreaterThan(5);
    expect(repeater.streams.list()).toEqual([]);
    await expect(stranger.streams.watch(link, none)).rejects.toMatchObject({ code: 'not_invited' });
    expect(stranger.streams.list()).toEqual([]);
    // What the viewer signed stays with the repeater.
    await soon(() => repeater.streams.receipts().length > 0, 'a receipt');
    expect(repeater.streams.receipts()[0]).toMatchObject({ streamId, to: viewer.network.peerId });
  });

  it('for named people ends for one who is left out, opens for one who is let in, and goes on for the others', async () => {
    const source = await node(1);
    const viewers = [await node(2), await node(3), await node(4)];
    for (const one of viewers) await one.network.connect(source.network.addresses()[0]!);
    const [stays, goes, comes] = viewers as [StreamNode, StreamNode, StreamNode];
    const { streamId, link } = await source.streams.begin(
      testStart({ audience: [stays.user, goes.user] }),
      none,
    );
    running.push(await encode(source.streams.ingest(streamId)));
    for (const one of [stays, goes]) await one.streams.watch(link, none);
    const staying = play(stays, streamId);
    const going = play(goes, streamId);
    running.push(staying, going);
    await soon(() => staying.parts.size > 3 && going.parts.size > 3, 'parts');
    await expect(comes.streams.watch(link, none)).rejects.toMatchObject({ code: 'not_invited' });
    const users = await source.streams.invite(streamId, { add: [comes.user], remove: [goes.user] }, none);
    expect(new Set(users)).toEqual(new Set([stays.user, comes.user]));
    await soon(() => going.ended(), 'the end for who is left out');
    await expect(goes.streams.watch(link, none)).rejects.toMatchObject({ code: 'not_invited' });
    await comes.streams.watch(link, none);
    const coming = play(comes, streamId);
    running.push(coming);
    const before = staying.parts.size;
    await soon(() => staying.parts.size > before + 10 && coming.parts.size > 3, 'parts under the new key');
    for (const one of [staying, going, coming]) expect(right(one)).toBe(true);
    expect(staying.gaps).toEqual([]);
    await expect(source.streams.invite(link, { add: [], remove: [] }, none)).resolves.toHaveLength(2);
  });

  it('can be gone back in to before one came, as far as the source has it, also behind who came late', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'streams-'));
    running.push({ stop: () => rm(folder, { recursive: true, force: true }) });
    const on = (name: string): StreamNodeOptions => ({ folder: path.join(folder, name), hotBytes: 200_000 });
    const source = await node(1, on('source'));
    const { streamId, link } = await source.streams.begin(testStart({ fanOut: 1, dvrSeconds: 600 }), none);
    const encoder = await encode(source.streams.ingest(streamId));
    running.push(encoder);
    await soon(() => source.streams.stats(streamId).ingested > 90, 'a past');
    const repeater = await node(2, { relay: 'on' });
    await repeater.network.connect(source.network.addresses()[0]!);
    await soon(() => source.streams.stats(streamId).children.includes(repeater.network.peerId), 'a repeater');
    const viewer = await node(3, on('viewer'));
    await viewer.streams.watch(link, none);
    const player = play(viewer, streamId);
    running.push(player);
    await soon(() => player.parts.size > 3, 'parts');
    const firstLive = Math.min(...player.parts.keys());
    expect(firstLive).toBeGreaterThan(80);
    // Back to the beginning: more than there is may be asked for.
    const playback = viewer.streams.playback(streamId);
    running.push({ stop: async () => playback.close() });
    const get = async (file: string, query = ''): Promise<string> =>
      Buffer.from(
        (await playback.get(file, new URLSearchParams(query), AbortSignal.timeout(60_000)))
          .body as Uint8Array,
      ).toString('latin1');
    const master = await get('stream.m3u8', 'back=500');
    expect(master).toContain('v/index.m3u8?from=0\n');
    let list = '';
    const bytes: string[] = [];
    await soonAsync(async () => {
      list = await get('v/index.m3u8', 'from=0');
      const names = [...list.matchAll(/^s(\d+)\.m4s\?from=0$/gm)];
      while (bytes.length < names.length) bytes.push(await get(`v/s${bytes.length}.m4s`, 'from=0'));
      // It has grown into what the node got live.
      return bytes.length * 5 > firstLive + 10;
    });
    expect(list).toContain('#EXT-X-MEDIA-SEQUENCE:0\n');
    expect(list).not.toContain('GAP');
    bytes.forEach((segment, n) => {
      const parts = [0, 1, 2, 3, 4].map((one) => testPayload('v', 5 * n + one, 20_000));
      expect(segment === Buffer.concat(parts).toString('latin1')).toBe(true);
    });
    // Nobody's view of what is live has changed by it, and nobody has been asked for more than there is.
    expect(player.gaps).toEqual([]);
    expect(Math.min(...player.parts.keys())).toBe(firstLive);
    await expect(get('v/index.m3u8', 'from=x')).rejects.toMatchObject({ code: 'invalid_argument' });
    await encoder.stop();
    expect(existsSync(path.join(folder, 'source', streamId))).toBe(true);
    await source.streams.stop();
    expect(existsSync(path.join(folder, 'source', streamId))).toBe(false);
  });

  it('of an unlisted kind opens with its whole link only', async () => {
    const source = await node(1);
    const viewer = await node(2);
    const { streamId, link } = await source.streams.begin(testStart({ audience: 'unlisted' }), none);
    running.push(await encode(source.streams.ingest(streamId)));
    await expect(viewer.streams.watch(link.split('#')[0]!, none)).rejects.toMatchObject({
      code: 'not_invited',
    });
    await expect(viewer.streams.watch(link.slice(0, -3), none)).rejects.toMatchObject({
      code: 'link_cut_short',
    });
    await viewer.streams.watch(link, none);
    const player = play(viewer, streamId);
    running.push(player);
    await soon(() => player.parts.size > 3, 'parts');
    expect(right(player)).toBe(true);
  });

  it('opens for a repeater, too, once it is given the link; a rendition is fetched when a player asks for it', async () => {
    const source = await node(1);
    const repeater = await node(2, { relay: 'on' });
    await repeater.network.connect(source.network.addresses()[0]!);
    const renditions = [
      ...testStart().renditions,
      { id: 'a', kind: 'audio' as const, codecs: 'opus', bandwidth: 96_000 },
    ];
    const { streamId, link } = await source.streams.begin(
      testStart({ audience: 'unlisted', renditions }),
      none,
    );
    running.push(await encode(source.streams.ingest(streamId), { renditions: ['v', 'a'] }));
    await soon(() => source.streams.stats(streamId).children.length === 1, 'the repeater joins');
    await repeater.streams.watch(link, none);
    expect(repeater.streams.list()).toMatchObject([{ title: 'A test', watching: true }]);
    const player = play(repeater, streamId);
    running.push(player);
    await soon(() => player.parts.size > 3, 'parts');
    expect(right(player)).toBe(true);
    expect(repeater.streams.stats(streamId).arriving).toEqual(['v']);
    const sound = play(repeater, streamId, 'a');
    running.push(sound);
    await soon(() => sound.parts.size > 3, 'sound');
    expect(repeater.streams.stats(streamId).arriving).toEqual(['v', 'a']);
    for (const [seq, bytes] of sound.parts)
      expect(Buffer.compare(bytes, testPayload('a', seq, 20_000))).toBe(0);
  });

  it('of bytes arrives whole and in order, also with who came in the middle of it', async () => {
    const source = await node(1);
    const viewer = await node(2);
    const renditions = [{ id: 'd', kind: 'data' as const, codecs: '', bandwidth: 4_000_000 }];
    const { streamId, link } = await source.streams.begin(testStart({ renditions, partMs: 50 }), none);
    const ingest = source.streams.ingest(streamId);
    const all: Uint8Array[] = [];
    const send = async (count: number) => {
      for (let n = 0; n < count; n++) {
        const seq = all.length;
        const bytes = testPayload('d', seq, 30_000 + seq);
        all.push(bytes);
        const segment = Math.floor(seq / 16);
        await ingest.part(
          'd',
          seq,
          { pts: seq, duration: 0, captured: 0, independent: true, segment },
          bytes,
        );
        await sleep(20);
      }
    };
    await send(30);
    const joined = viewer.streams.watch(link, none);
    await Promise.all([joined, send(30)]);
    const playback = viewer.streams.playback(streamId);
    expect(playback.entrance).toBe('d/data');
    const file = await playback.get('d/data', new URLSearchParams(), none);
    const got: Uint8Array[] = [];
    const reading = (async () => {
      for await (const bytes of file.body as AsyncIterable<Uint8Array>) got.push(bytes);
    })();
    await send(10);
    await ingest.end();
    await reading;
    expect(Buffer.compare(Buffer.concat(got), Buffer.concat(all))).toBe(0);
    await expect(
      playback.get('d/index.m3u8', new URLSearchParams(), AbortSignal.timeout(50)),
    ).rejects.toThrow();
  });

  it('is told to those who are connected, and to those who come later', async () => {
    const source = await node(1);
    const early = await node(2);
    const late = await node(3);
    await early.network.connect(source.network.addresses()[0]!);
    const { streamId } = await source.streams.begin(testStart({ title: 'Now' }), none);
    await soon(
      () => early.streams.list().some((one) => one.title === 'Now' && one.state === 'live'),
      'the news',
    );
    await late.network.connect(early.network.addresses()[0]!);
    await soon(() => late.streams.list().some((one) => one.streamId === streamId), 'the list');
    await source.streams.end(streamId);
    await soon(() => early.streams.list().every((one) => one.state !== 'live'), 'the end');
  });
});

describe('a source that goes', () => {
  it('says so, and is found again at another address by the only one who watched', async () => {
    const memory = createMemory();
    const before = await startStreamNode('restarted', '127.0.7.1', { memory });
    const viewer = await node(2);
    const { streamId, link } = await before.streams.begin(testStart({ outlives: true }), none);
    const encoder = await encode(before.streams.ingest(streamId));
    await viewer.streams.watch(link, none);
    const player = play(viewer, streamId);
    running.push(player);
    await soon(() => player.parts.size > 5, 'parts');
    const shown = () => viewer.streams.list().find((one) => one.streamId === streamId)!;
    expect(shown()).toMatchObject({ state: 'live', away: false });
    await soon(() => memory.keeper.list()[0]!.near.length > 0, 'the viewer is remembered');
    const old = before.network.addresses()[0];
    await before.stop();
    await encoder.stop().catch(() => {});
    await soon(() => shown().away, 'the viewer knows');
    expect(shown().state).toBe('live');
    const after = await startStreamNode('restarted', '127.0.7.1', { memory });
    running.push(after);
    expect(after.network.addresses()[0]).not.toBe(old);
    expect(after.streams.list()[0]).toMatchObject({ streamId, away: true, own: true });
    running.push(await encode(after.streams.ingest(streamId)));
    await soon(() => viewer.streams.stats(streamId).parent === after.network.peerId, 'it is found');
    await soon(() => viewer.streams.stats(streamId).run === 1 && !shown().away, 'it goes on');
  });

  it('in order, and whose encoder can not come back, has ended for all at once', async () => {
    const source = await startStreamNode('ended', '127.0.7.1', { memory: createMemory() });
    const viewer = await node(2);
    const { streamId, link } = await source.streams.begin(testStart(), none);
    const encoder = await encode(source.streams.ingest(streamId));
    await viewer.streams.watch(link, none);
    const player = play(viewer, streamId);
    running.push(player);
    await soon(() => player.parts.size > 5, 'parts');
    await source.stop();
    await encoder.stop().catch(() => {});
    await until(() => player.ended(), 10_000, 'the end');
  });
});

describe('the picture of a stream', () => {
  const picture = new Uint8Array([0xff, 0xd8, 0xff, 0xe0, ...randomBytes(30_000)]);

  it('is got by who only hears of the stream, from another one, and checked; who it is not for gets none', async () => {
    const source = await node(1);
    const other = await node(2);
    await other.network.connect(source.network.addresses()[0]!);
    const { streamId } = await source.streams.begin(testStart({ poster: picture }), none);
    const hidden = await source.streams.begin(testStart({ poster: picture, audience: 'unlisted' }), none);
    await soon(() => other.streams.list().length === 1, 'it is heard of');
    expect(other.streams.list()[0]!.poster).toMatch(/^[0-9a-f]{64}$/);
    const [one, same] = await Promise.all([
      other.streams.poster(streamId, none),
      other.streams.poster(streamId, none),
    ]);
    expect(Buffer.compare(one!, picture)).toBe(0);
    expect(same).toBe(one);
    // A third gets it from who only heard of the stream.
    const third = await node(3);
    await third.network.connect(other.network.addresses()[0]!);
    await soon(() => third.streams.list().length === 1, 'the third hears of it');
    await source.stop();
    expect(Buffer.compare((await third.streams.poster(streamId, none))!, picture)).toBe(0);
    await expect(third.streams.poster(hidden.streamId, none)).rejects.toMatchObject({
      code: 'stream_unknown',
    });
  });

  it('comes with the stream itself, also an encrypted one; what is no picture or too large is refused', async () => {
    const source = await node(1);
    const viewer = await node(2);
    const { streamId, link } = await source.streams.begin(
      testStart({ poster: picture, audience: 'unlisted' }),
      none,
    );
    await viewer.streams.watch(link, none);
    expect(Buffer.compare((await viewer.streams.poster(streamId, none))!, picture)).toBe(0);
    const svg = new Uint8Array(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'));
    await expect(source.streams.begin(testStart({ poster: svg }), none)).rejects.toMatchObject({
      code: 'unsupported',
    });
    const large = new Uint8Array([...picture.subarray(0, 4), ...new Uint8Array(65_536)]);
    await expect(source.streams.begin(testStart({ poster: large }), none)).rejects.toMatchObject({
      code: 'too_large',
    });
  });
});

describe('help asked for', () => {
  it('with streams that nobody has takes the places of a repeater for a minute at the most', async () => {
    const began = Date.now();
    const repeater = await node(1, {
      relay: 'on',
      // A minute of it is two seconds.
      clock: {
        now: () => began + 30 * (Date.now() - began),
        after: (ms, fn) => wallClock.after(ms / 30, fn),
      },
    });
    const stranger = await node(2);
    await stranger.network.connect(repeater.network.addresses()[0]!);
    const ids = Array.from({ length: 9 }, () => randomBytes(32).toString('hex'));
    const stream = await stranger.network.open(
      repeater.network.peerId,
      'streams/1',
      { maxFrame: 4096, maxStreams: 4, idleTimeout: 10_000, maxRate: 20 },
      none,
    );
    const addresses = [`/ip4/127.0.7.3/tcp/9/p2p/${stranger.network.peerId}`];
    for (const id of ids) await stream.send(encodeDirectoryFrame({ t: 'help', stream: id, addresses }));
    const taken = (): number =>
      ids.filter((id) => {
        try {
          return repeater.streams.stats(id).depth === null;
        } catch {
          return false;
        }
      }).length;
    await soon(() => taken() === 8, 'all places taken');
    await soon(() => taken() === 0, 'the places free again');
  });
});

describe('a repeater that does harm', () => {
  const flip = (frame: Uint8Array): readonly Uint8Array[] => {
    // A chunk of media: one bit of it.
    if (frame[0] !== 3) return [frame];
    const copy = frame.slice();
    copy[copy.length >> 1]! ^= 1;
    return [copy];
  };

  it('by changing bytes is dropped at the first piece; nothing of it is played or passed on', async () => {
    const { source, repeater, viewer, streamId, link } = await chain();
    repeater.meddle(flip);
    await viewer.streams.watch(link, none);
    const player = play(viewer, streamId);
    running.push(player);
    await soon(() => viewer.streams.stats(streamId).rejected > 0, 'a refusal');
    await sleep(500);
    expect(right(player)).toBe(true);
    expect(viewer.streams.stats(streamId).parent).not.toBe(repeater.network.peerId);
    expect(source.streams.stats(streamId).rejected).toBe(0);
  });

  it('would get a forged part through if signatures were not checked: so the check is what stops it', async () => {
    const { repeater, viewer, streamId, link } = await chain({ viewer: { without: 'signatures' } });
    repeater.meddle(flip);
    await viewer.streams.watch(link, none);
    const player = play(viewer, streamId);
    running.push(player);
    await soon(() => player.parts.size > 0 && !right(player), 'a forged part');
  });

  it('by sending another header, an old one, or what is no frame at all, is refused', async () => {
    for (const harm of [
      (frame: Uint8Array) =>
        frame[0] === 2
          ? [Buffer.concat([frame.subarray(0, 60), Buffer.from([9]), frame.subarray(61)])]
          : [frame],
      (frame: Uint8Array) => (frame[0] === 2 ? [frame.subarray(0, frame.length - 40)] : [frame]),
      (frame: Uint8Array) => (frame[0] === 3 ? [Uint8Array.of(200, 1, 2)] : [frame]),
      (frame: Uint8Array) => (frame[0] === 3 ? [frame, frame] : [frame]),
    ]) {
      const { repeater, viewer, streamId, link } = await chain();
      repeater.meddle(harm);
      await viewer.streams.watch(link, none);
      await soon(() => viewer.streams.stats(streamId).parent !== repeater.network.peerId, 'it is left');
      await sleep(300);
      expect(viewer.streams.stats(streamId).parent).not.toBe(repeater.network.peerId);
      for (const one of running.splice(0).reverse()) await one.stop();
    }
  });

  it.each([
    ['keeping parts back', (frame: Uint8Array) => (frame[0] === 2 || frame[0] === 3 ? [] : [frame])],
    [
      'being too slow',
      async (frame: Uint8Array) => {
        if (frame[0] === 3) await sleep(250);
        return [frame];
      },
    ],
  ] as const)('by %s loses its children to another one, who go on without a hole', async (_, harm) => {
    const source = await node(1);
    const repeaters = [await node(2, { relay: 'on' }), await node(3, { relay: 'on' })];
    const { streamId, link } = await source.streams.begin(testStart({ fanOut: 2 }), none);
    running.push(await encode(source.streams.ingest(streamId)));
    for (const one of repeaters) await one.network.connect(source.network.addresses()[0]!);
    await soon(() => source.streams.stats(streamId).children.length === 2, 'both repeaters join');
    const viewer = await node(4);
    await viewer.streams.watch(link, none);
    const player = play(viewer, streamId);
    running.push(player);
    const backed = () => viewer.streams.stats(streamId).backups.length > 0;
    await soon(() => player.parts.size > 5 && backed(), 'a backup');
    const { parent } = viewer.streams.stats(streamId);
    const bad = repeaters.find((one) => one.network.peerId === parent)!;
    bad.meddle(harm);
    const now = () => viewer.streams.stats(streamId).parent;
    await soon(() => now() !== parent && now() !== null, 'it is left');
    const before = player.parts.size;
    await soon(() => player.parts.size > before + 20, 'parts from another parent');
    expect(right(player)).toBe(true);
    const got = [...player.parts.keys()].sort((a, b) => a - b);
    expect(got.length + player.gaps.length).toBe(got.at(-1)! - got[0]! + 1);
    expect(player.gaps).toEqual([]);
  });
});

describe('the upload of the source', () => {
  it('is bounded while viewers pass parts on, and grows with every viewer when nobody does', async () => {
    for (const without of [undefined, 'repeaters'] as const) {
      const source = await node(1, without ? { without } : {});
      const { streamId, link } = await source.streams.begin(testStart({ fanOut: 1 }), none);
      running.push(await encode(source.streams.ingest(streamId)));
      const players: ReturnType<typeof play>[] = [];
      for (const ip of [2, 3, 4]) {
        const viewer = await node(ip, { relay: 'on', ...(without && { without }) });
        await viewer.streams.watch(link, none);
        players.push(play(viewer, streamId));
        running.push(players.at(-1)!);
        await soon(() => players.at(-1)!.parts.size > 3, 'parts');
      }
      const { children, viewers } = source.streams.stats(streamId);
      expect(children).toHaveLength(without ? 3 : 1);
      await soon(() => source.streams.stats(streamId).viewers === 3, 'all are counted');
      expect(viewers).toBeLessThanOrEqual(3);
      expect(players.every(right)).toBe(true);
      for (const one of running.splice(0).reverse()) await one.stop();
    }
  });
});
