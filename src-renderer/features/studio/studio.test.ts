import { describe, expect, it } from 'vitest';
import type { StreamSummary } from '../../../src-shared/contract/index.ts';
import { avcName } from './engine/encoders.ts';
import { place } from './engine/compositor.ts';
import { troubleOf } from './engine/media.ts';
import { createQualityPilot, steps } from './engine/quality.ts';
import { createUploader } from './engine/uploader.ts';
import { bandwidthOf, codecOf, suggest, usualBitrate, videosOf } from './plan.ts';
import { runningOf } from './running.ts';
import { drawingOf, moved, placements } from './scenes.ts';

describe('what is suggested', () => {
  const probe = (speed: number, family: 'h264' | 'vp9' | 'av1' = 'h264') => ({
    family,
    codec: '',
    width: 1280,
    height: 720,
    speed,
  });
  it('goes by what the encoder did in a test', () => {
    expect(suggest([probe(200)], null)).toMatchObject({ family: 'h264', height: 720, fps: 30, second: true });
    expect(suggest([probe(90)], null)).toMatchObject({ height: 720, second: false });
    expect(suggest([probe(40)], null)).toMatchObject({ height: 480, fps: 30 });
    expect(suggest([probe(5)], null)).toMatchObject({ height: 360, fps: 15, second: false });
  });
  it('takes another codec only without H.264, and the uplink into account', () => {
    expect(suggest([probe(100, 'vp9'), probe(120, 'av1')], null).family).toBe('av1');
    expect(suggest([probe(90), probe(900, 'vp9')], null).family).toBe('h264');
    expect(suggest([probe(500)], 3_500_000)).toMatchObject({ height: 480 });
  });
  it('names codecs at the level a size needs', () => {
    expect(codecOf('h264', 720, 30)).toBe('avc1.42c01f');
    expect(codecOf('h264', 1080, 60)).toBe('avc1.42c02a');
    expect(codecOf('vp9', 720, 30)).toBe('vp09.00.31.08');
    expect(avcName(Uint8Array.of(1, 0x42, 0xc0, 0x1f, 255))).toBe('avc1.42c01f');
    expect(
      videosOf({ family: 'h264', height: 720, fps: 30, bitrate: 1, second: true }).map(({ id }) => id),
    ).toEqual(['v720', 'v360']);
    expect(usualBitrate(720, 30, 'h264')).toBe(2_500_000);
  });
});

describe('taking quality back', () => {
  const good = { dropped: 0, waitingMs: 0 };
  const slow = { dropped: 0.4, waitingMs: 0 };
  it('goes down in two seconds and up in twelve, and is slower after a relapse', () => {
    const pilot = createQualityPilot();
    const run = (load: typeof good, seconds: number) => {
      for (let n = 0; n < seconds; n += 1) pilot.report(load);
    };
    run(slow, 1);
    expect(pilot.step).toBe(0);
    run(slow, 1);
    expect([pilot.step, pilot.reason]).toEqual([1, 'machine']);
    run(good, 11);
    expect(pilot.step).toBe(1);
    run(good, 1);
    expect([pilot.step, pilot.reason]).toEqual([0, 'none']);
    run(slow, 2);
    run(good, 23);
    expect(pilot.step).toBe(1);
    run(good, 1);
    expect(pilot.step).toBe(0);
  });
  it('ends at the last step, and knows an uplink from a machine', () => {
    const pilot = createQualityPilot();
    for (let n = 0; n < 100; n += 1) pilot.report({ dropped: 0, waitingMs: 2000 });
    expect([pilot.step, pilot.reason]).toEqual([steps.length - 1, 'uplink']);
  });
});

describe('sending parts', () => {
  const part = (seq: number) => ({
    seq,
    segment: Math.floor(seq / 5),
    pts: seq * 18_000,
    duration: 18_000,
    independent: seq % 5 === 0,
    captured: 1000.4,
    bytes: new Uint8Array([seq]),
  });
  function setUp(answer: (url: string, n: number) => Response | Error | Promise<Response>) {
    const asked: string[] = [];
    const troubles: string[] = [];
    let time = 0;
    const uploader = createUploader({
      url: 'http://node/in/v720',
      post: async (url) => {
        asked.push(url.slice('http://node/in/v720/'.length));
        const got = await answer(url, asked.length);
        if (got instanceof Error) throw got;
        return got;
      },
      now: () => time,
      wait: async (ms) => void (time += ms),
      onHealth: () => {},
      onTrouble: (trouble) => troubles.push(trouble),
    });
    return { asked, troubles, uploader };
  }
  const ok = () => new Response(null, { status: 204 });
  const refused = (code: string) => Response.json({ error: { code, message: 'No.' } }, { status: 409 });

  it('sends the init segment first and each part in its turn', async () => {
    const { asked, uploader } = setUp(ok);
    uploader.init(new Uint8Array(8));
    uploader.part(part(0));
    uploader.part(part(1));
    await uploader.drain();
    expect(asked).toEqual([
      'init',
      '0?pts=0&duration=18000&captured=1000&independent=1&segment=0',
      '1?pts=18000&duration=18000&captured=1000&independent=0&segment=0',
    ]);
  });
  it('tries again while the node is away, and says so when it stays away', async () => {
    const away = setUp((_, n) => (n < 4 ? new TypeError('failed to fetch') : ok()));
    away.uploader.part(part(0));
    await away.uploader.drain();
    expect(away.asked.length).toBe(4);
    expect(away.troubles).toEqual([]);
    const gone = setUp(() => new TypeError('failed to fetch'));
    gone.uploader.part(part(0));
    await gone.uploader.drain();
    expect(gone.troubles).toEqual(['node_lost']);
  });
  it('takes an address that is not known any more for a node that was started anew', async () => {
    for (const status of [404, 405]) {
      const { troubles, uploader } = setUp(() => new Response('No such link.', { status }));
      uploader.part(part(0));
      await uploader.drain();
      expect(troubles).toEqual(['node_lost']);
    }
  });
  it('says nothing once it was stopped', async () => {
    const { asked, troubles, uploader } = setUp((_, n) => {
      if (n === 2) uploader.stop();
      return new TypeError('failed to fetch');
    });
    uploader.part(part(0));
    await uploader.drain();
    expect([asked.length, troubles]).toEqual([2, []]);
  });
  it('goes on after a part that came too late, and ends with the stream', async () => {
    const { asked, troubles, uploader } = setUp((_, n) =>
      n === 1 ? refused('part_out_of_order') : refused('stream_ended'),
    );
    for (const n of [0, 1, 2]) uploader.part(part(n));
    await uploader.drain();
    expect(asked.length).toBe(2);
    expect(troubles).toEqual(['stream_ended']);
  });
  it('leaves out what waited too long, up to where decoding can begin', async () => {
    let free = (_: Response): void => {};
    const { asked, uploader } = setUp((_, n) =>
      n === 1 ? new Promise((resolve) => (free = resolve)) : ok(),
    );
    for (let seq = 0; seq < 24; seq += 1) uploader.part(part(seq));
    expect(uploader.left).toBeGreaterThan(0);
    expect(uploader.backlogMs).toBeLessThanOrEqual(4000);
    free(ok());
    await uploader.drain();
    expect(Number(asked[1]!.split('?')[0]) % 5).toBe(0);
    expect(asked.at(-1)).toContain('23?');
  });
});

describe('a stream that another page began', () => {
  const quality = { family: 'h264', height: 720, fps: 30, bitrate: 2_500_000, second: true } as const;
  const stream: StreamSummary = {
    ...{ streamId: 'a'.repeat(64), title: 'T', userId: null, link: 'l', audience: 'private', state: 'live' },
    ...{
      away: true,
      poster: null,
      own: true,
      watching: false,
      followed: false,
      viewers: 0,
      dvrSeconds: 1800,
    },
    startedAt: '2026-11-27T10:00:00.000Z',
    targetLatency: 'default',
    recording: null,
    renditions: [
      ...videosOf(quality).map(({ id, codec, width, height, bitrate }) => ({
        ...{ id, width, height, kind: 'av' as const, codecs: `${codec},opus`, frameRate: 30 },
        bandwidth: bandwidthOf.picture(bitrate, 128_000),
      })),
      { id: 'audio', kind: 'audio', codecs: 'opus', bandwidth: bandwidthOf.sound(128_000) },
    ],
  };
  it('goes on as it was made', () => {
    expect(runningOf(stream)).toMatchObject({
      quality,
      plan: { videos: videosOf(quality), audioBitrate: 128_000, fps: 30 },
      startedAt: 1_795_773_600_000,
    });
  });
  it('is left alone while it is sent, when it is of somebody else, or of OBS', () => {
    const [picture, ...rest] = stream.renditions;
    const others = [
      { ...stream, away: false },
      { ...stream, own: false },
      { ...stream, state: 'ended' as const },
      { ...stream, renditions: [picture!] },
      { ...stream, renditions: [{ ...picture!, height: 700 }, ...rest] },
    ];
    expect(others.map(runningOf)).toEqual(others.map(() => null));
  });
});

describe('places in the picture', () => {
  it('fills or shows all', () => {
    const to = { x: 0, y: 0, width: 160, height: 90 };
    expect(place({ width: 400, height: 300 }, to, 'cover')).toEqual({
      ...{ sx: 0, sy: 37.5, sw: 400, sh: 225, dx: 0, dy: 0, dw: 160, dh: 90 },
    });
    expect(place({ width: 400, height: 300 }, to, 'contain')).toEqual({
      ...{ sx: 0, sy: 0, sw: 400, sh: 300, dx: 20, dy: 0, dw: 120, dh: 90 },
    });
  });
  it('stay in the picture when moved', () => {
    expect(moved(placements.topRight, { x: 1, y: -1 })).toMatchObject({ x: 0.75, y: 0 });
    expect(moved(placements.whole, { width: -5, height: -0.5 })).toEqual({
      x: 0,
      y: 0,
      width: 0.06,
      height: 0.5,
    });
  });
  it('are drawn from back to front, without what is hidden', () => {
    const item = { box: placements.whole, fit: 'cover' as const, name: '', title: 'T', line: '' };
    const drawn = drawingOf({
      id: 's',
      name: '',
      items: [
        { ...item, id: 'text', kind: 'text', source: '', visible: true },
        { ...item, id: 'hidden', kind: 'image', source: 'i', visible: false },
        { ...item, id: 'camera', kind: 'camera', source: 'c', visible: true },
      ],
    });
    expect(drawn.layers.map(({ id }) => id)).toEqual(['camera', 'text']);
  });
});

describe('devices that fail', () => {
  it('have a reason each', () => {
    expect(troubleOf('camera', 'NotAllowedError')).toBe('refused');
    expect(troubleOf('screen', 'NotAllowedError')).toBe('cancelled');
    expect(troubleOf('camera', 'NotFoundError')).toBe('none');
    expect(troubleOf('microphone', 'NotReadableError')).toBe('busy');
    expect(troubleOf('camera', 'Whatever')).toBe('failed');
  });
});
