import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Option } from '@commander-js/extra-typings';
import type { Command } from '@commander-js/extra-typings';
import type { StreamStats } from '../../../../src-shared/contract/index.ts';
import { AppError, isAppError } from '../../../../src-shared/errors.ts';
import { formatBytes, formatFields, formatRate, formatTable, formatTime } from '../format.ts';
import { limitOf, parseCount, parseRate, parseSize } from '../parse.ts';
import { acceptedAnswer, passwordFile, paying } from './paying.ts';
import type { Run } from '../program.ts';
import type { AppClient } from '../session.ts';
import { upper } from './wallet.ts';
import type { Feed } from '../../../../src-shared/media/index.ts';

const parseUsers = (text: string): string[] => text.split(',').filter((one) => one !== '');

function statsAnswer(value: StreamStats) {
  const text = formatFields([
    ['role', value.role],
    ['depth', value.depth ?? '-'],
    ['parent', value.parent ?? '-'],
    ['backups', value.backups.join(' ') || '-'],
    ['children', value.children.join(' ') || '-'],
    ['viewers', value.viewers],
    ['sent', formatBytes(value.sent)],
    ['received', `${formatBytes(value.received)}, ${formatBytes(value.duplicateBytes)} of it twice`],
    ['rejected', `${value.rejected} parts`],
    ['latency', value.latencyMs === null ? '-' : `${Math.round(value.latencyMs)} ms`],
    ['holes', value.gaps],
    ['uplink', value.uplink === 0 ? 'not measured' : formatRate(value.uplink)],
  ]);
  return { value, text };
}

/** `public`, `unlisted`, or users separated by commas. */
const parseAudience = (text: string): 'public' | 'unlisted' | string[] =>
  text === 'public' || text === 'unlisted' ? text : text.split(',').map((one) => one.trim());

/** Resolves when so many players are there, or the signal ends waiting. */
async function awaitViewers(
  client: AppClient,
  stream: string,
  wanted: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const item of client.streams.watchStats({ stream }, { signal })) {
      if ((item.value.viewers ?? 0) >= wanted) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** A stream waits so long for its encoder after a restart of the node, and the encoder for the node, ms. */
const patience = 120_000;

/** Waits until the daemon is there again, and goes on with the stream. @throws AppError */
async function comeBack(
  reconnect: () => Promise<AppClient>,
  stream: string,
  signal: AbortSignal,
): Promise<string> {
  const end = Date.now() + patience;
  for (;;) {
    await sleep(500, undefined, { signal });
    try {
      const { ingestUrl } = await (await reconnect()).streams.resume({ stream }, { signal });
      return ingestUrl;
    } catch (error) {
      const isOver = isAppError(error, 'stream_unknown') || isAppError(error, 'stream_ended');
      if (isOver || signal.aborted || Date.now() > end) throw error;
    }
  }
}

/** Bytes of a stream's picture. */
const mostPoster = 64 * 1024;

/** A picture in base64. @throws AppError `not_found`, `too_large` */
async function readPoster(file: string): Promise<string> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new AppError('not_found', `There is no picture ${file}.`, { cause });
  });
  if (bytes.length > mostPoster) {
    const size = formatBytes(bytes.length);
    throw new AppError('too_large', `The picture of a stream takes at most 64 KiB; ${file} has ${size}.`);
  }
  return bytes.toString('base64');
}

/** Says what OBS has to be told, and waits until it begins. */
async function awaitEncoder(port: number, json: boolean, signal: AbortSignal): Promise<Feed> {
  const { openRtmp } = await import('../../../node/index.ts');
  const { server, key, feed, close } = await openRtmp(port);
  process.stdout.write(json ? `${JSON.stringify({ server, key })}\n` : `server  ${server}\nkey     ${key}\n`);
  signal.addEventListener('abort', close, { once: true });
  return feed;
}

/** `stream ...`: live streams sent, watched and passed on. */
export function addStreamCommands(program: Command, run: Run): void {
  const stream = program.command('stream').description('live streams');
  stream
    .command('publish')
    .description('goes live from a file, a folder of music or standard input, until it ends')
    .argument('<title>')
    .requiredOption(
      '--from <source>',
      'a file (MP4, MP3, WebM, ... or any bytes), a folder, - for standard input, or rtmp[:PORT] for OBS',
    )
    .option(
      '--audience <audience>',
      'public, unlisted, or user ids separated by commas',
      parseAudience,
      'public',
    )
    .option('--record <drive>', 'records it into a drive')
    .option('--fanout <count>', 'most computers that this one sends to itself', parseCount)
    .option('--interactive', 'less delay, less time to mend what is lost')
    .option('--dvr <seconds>', 'how far back viewers may go', parseCount)
    .option('--loop', 'begins anew at its end, for ever')
    .option('--poster <file>', 'a picture for lists and players: a JPEG or WebP of at most 64 KiB')
    .option('--wait <count>', 'begins when so many watch', parseCount)
    .addOption(new Option('--data', 'sends the bytes as they are, whatever they are').conflicts('media'))
    .addOption(
      new Option('--media', 'waits for sound or pictures on standard input, however long they take to begin'),
    )
    .action((title, options) =>
      run(async ({ client, reconnect, signal, json }) => {
        const { openFeed, publish } = await import('../../publish/publish.ts');
        const stop = new AbortController();
        const onTerm = (): void => stop.abort();
        process.once('SIGTERM', onTerm);
        try {
          const ending = AbortSignal.any([signal, stop.signal]);
          const rtmp = /^rtmp(?::(\d{1,5}))?$/.exec(options.from);
          const feed = rtmp
            ? await awaitEncoder(Number(rtmp[1] ?? 1935), json, ending)
            : await openFeed(options.from, {
                loop: options.loop ?? false,
                data: options.data ?? false,
                media: options.media ?? false,
                stdin: process.stdin,
              });
          const { streamId, link, ingestUrl } = await (
            await client()
          ).streams.start(
            {
              title,
              poster: options.poster === undefined ? null : await readPoster(options.poster),
              // It comes back by itself; bytes can't go on in the middle.
              outlives: feed.rendition.kind !== 'data',
              audience: options.audience,
              record: options.record ?? null,
              renditions: [feed.rendition],
              targetLatency: options.interactive ? 'interactive' : 'default',
              fanout: options.fanout ?? null,
              partMs: feed.rendition.kind === 'data' ? 50 : 200,
              ...(options.dvr !== undefined && { dvrSeconds: options.dvr }),
            },
            { signal },
          );
          process.stdout.write(
            json ? `${JSON.stringify({ streamId, link })}\n` : `stream  ${streamId}\nlink    ${link}\n`,
          );
          if (options.wait !== undefined) await awaitViewers(await client(), streamId, options.wait, ending);
          await publish(
            feed,
            { url: ingestUrl, again: (until) => comeBack(reconnect, streamId, until) },
            ending,
          );
          return null;
        } finally {
          process.removeListener('SIGTERM', onTerm);
        }
      }),
    );
  stream
    .command('list')
    .description('own ones, those watched, and public ones that this node has heard of')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).streams.list({}, { signal });
        const rows = value.map((one) => [
          one.title,
          (one.away ? 'away' : one.state) + (one.own ? ', own' : one.watching ? ', watched' : ''),
          one.audience,
          one.viewers,
          formatTime(one.startedAt),
          one.streamId,
        ]);
        const head = ['title', 'state', 'for', 'viewers', 'since', 'stream'];
        return { value, text: () => formatTable(head, rows, 'No stream has been heard of.') };
      }),
    );
  stream
    .command('watch')
    .description('joins a stream; prints the address of its playlist on this computer')
    .argument('<stream>', 'its id or link')
    .option('--back <seconds>', 'begins so long ago, as far back as the stream allows', parseCount)
    .action((name, { back }) =>
      run(async ({ client, signal }) => {
        const { streamId, url } = await (await client()).streams.watch({ stream: name }, { signal });
        const value = { streamId, url: back === undefined ? url : `${url}?back=${back}` };
        return { value, text: value.url };
      }),
    );
  stream
    .command('leave')
    .description('watches it no more')
    .argument('<stream>')
    .action((name) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).streams.leave({ stream: name }, { signal });
        return { value, text: 'It is not watched here any more.' };
      }),
    );
  stream
    .command('stop')
    .description('ends an own stream')
    .argument('<stream>')
    .action((name) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).streams.stop({ stream: name }, { signal });
        return { value, text: 'The stream has ended.' };
      }),
    );
  stream
    .command('invite')
    .description('whom an own private stream is for: shows it, or lets people in and out while it is live')
    .argument('<stream>')
    .option('--add <users>', 'user ids, separated by commas', parseUsers, [] as string[])
    .option(
      '--remove <users>',
      'the same: nothing that is sent from now on opens for them',
      parseUsers,
      [] as string[],
    )
    .action((name, { add, remove }) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).streams.invite({ stream: name, add, remove }, { signal });
        return { value, text: value.users.join('\n') || 'It is for nobody but you.' };
      }),
    );
  stream
    .command('stats')
    .description("this node's place in a stream and what it carries")
    .argument('<stream>')
    .action((name) =>
      run(async ({ client, signal }) =>
        statsAnswer(await (await client()).streams.stats({ stream: name }, { signal })),
      ),
    );
  stream
    .command('relay')
    .description('whether this computer passes on streams of others: shows it, or sets it')
    .argument('[state]', 'on (whenever somebody wants it), auto (while it watches them) or off')
    .option('--uplink <rate>', 'such as 20Mbit: of its upload, for streams; off: as measured', parseRate)
    .action((state, { uplink }) =>
      run(async ({ client, signal }) => {
        if (state !== undefined && !['on', 'off', 'auto'].includes(state))
          throw new AppError('invalid_argument', 'It is on, off or auto.');
        const value = await (
          await client()
        ).streams.relay(
          {
            ...(state !== undefined && { enabled: state as 'on' }),
            ...(uplink !== undefined && { uplink: limitOf(uplink) }),
          },
          { signal },
        );
        return {
          value,
          text: formatFields([
            ['passing on', value.enabled],
            ['upload for it', value.uplink === null ? 'as measured' : formatRate(value.uplink)],
          ]),
        };
      }),
    );
  stream
    .command('fund')
    .description(
      'puts base coins aside for those who pass on a stream, paid by what viewers signed that they got',
    )
    .argument('<stream>', 'its id')
    .requiredOption('--amount <amount>', 'in all')
    .requiredOption('--price <amount>', 'for a GiB that a viewer got')
    .requiredOption('--hours <n>', 'each gives an equal part; what is left goes back then', parseCount)
    .option('--per-viewer <size>', 'of one viewer that counts in an hour', parseSize, 5_000_000_000)
    .option('--share <percent>', 'of an hour’s part, for one account at the most', parseCount, 25)
    .option('--min-stake <amount>', 'base coins an account must have at stake', '0')
    .option(...passwordFile)
    .action((name, { amount, price, hours, perViewer, share, minStake, ...options }) =>
      run(async ({ client, signal }) => {
        const terms = { stream: name, amount, price, hours, perViewer, shareBp: share * 100, minStake };
        const input = { ...(await paying(options)), ...terms };
        return acceptedAnswer(await (await client()).storage.relayFund(input, { signal }));
      }),
    );
  stream
    .command('funds')
    .description('what is put aside for passing on streams, and what this account got of it')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).storage.relayFunds({}, { signal });
        const rows = value.map((one) => [
          one.fund,
          `${one.left} of ${one.amount}`,
          one.price,
          formatTime(one.until),
          one.paid,
          one.stream,
        ]);
        const head = ['fund', 'left', 'for a GiB', 'until', 'yours', 'stream'];
        return { value, text: () => formatTable(head, rows, 'There are none.') };
      }),
    );
  stream
    .command('fund-close')
    .description('ends a fund whose time is over: the rest goes back')
    .argument('<fund>', 'its number', (text) => (text === '0' ? 0 : parseCount(text)))
    .action((fund) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(await (await client()).storage.relayClose({ fund }, { signal })),
      ),
    );
  stream
    .command('collect')
    .description('pays your part of a token’s emission for those who pass on streams')
    .argument('<symbol>', 'of the token', upper)
    .action((symbol) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(await (await client()).storage.relayCollect({ symbol }, { signal })),
      ),
    );
  stream
    .command('follow')
    .description('tells when a user goes live; without one: whom this node follows')
    .argument('[user]')
    .option('--off', 'not any more')
    .action((user, { off }) =>
      run(async ({ client, signal }) => {
        const calls = (await client()).streams;
        const value =
          user === undefined
            ? await calls.following({}, { signal })
            : await calls.follow({ user, on: off !== true }, { signal });
        return { value, text: value.users.join('\n') || 'Nobody is followed.' };
      }),
    );
}
