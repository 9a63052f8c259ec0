/**
 * A process of nodes with nothing but streams, real sockets on loopback, told by its parent what to do: for `test/bench/streams.ts`.
 * Parts are of known bytes, so that every one that is played can be compared with what was sent.
 */
import { fork, type ChildProcess } from 'node:child_process';
import {
  encode,
  play,
  startStreamNode,
  testPayload,
  testStart,
} from '../../src-main/stream/testing/world.ts';
import type { StreamNode, StreamNodeOptions } from '../../src-main/stream/testing/world.ts';
import type { SessionStats } from '../../src-main/stream/index.ts';

const none = new AbortController().signal;

/** How a stream of the bench is made: parts of so many bytes. */
export interface BenchStream {
  readonly partMs: number;
  readonly partBytes: number;
  readonly fanOut: number | null;
}

export interface NodeFigures extends SessionStats {
  /** Everything over its sockets, bytes. */
  readonly wireSent: number;
  readonly wireReceived: number;
  /** Of the player: parts, holes, and parts that are not what was sent. */
  readonly played: number;
  readonly holes: number;
  readonly forged: number;
}

/** What the parent may ask for. */
interface Commands {
  start: { args: { name: string; ip: string; options: StreamNodeOptions }; result: { peerId: string } };
  begin: { args: { name: string; stream: BenchStream }; result: { streamId: string; link: string } };
  watch: { args: { name: string; link: string; plays: boolean }; result: { streamId: string } };
  figures: { args: { streamId: string }; result: Record<string, NodeFigures> };
  flip: { args: { name: string }; result: object };
}
type Command = keyof Commands;

export interface StreamHost {
  ask<K extends Command>(command: K, args: Commands[K]['args']): Promise<Commands[K]['result']>;
  /** SIGKILL. */
  kill(): void;
}

/** Starts a process of nodes. */
export function startStreamHost(): StreamHost {
  const child: ChildProcess = fork(import.meta.filename, ['--host'], { stdio: 'inherit' });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let next = 0;
  child.on('message', (message) => {
    const { id, result, error } = message as { id: number; result?: unknown; error?: string };
    const one = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) one?.resolve(result);
    else one?.reject(new Error(error));
  });
  let gone = false;
  const ended = (): void => {
    gone = true;
    for (const one of waiting.values()) one.reject(new Error('a process of nodes ended'));
    waiting.clear();
  };
  child.once('exit', ended);
  // One that was killed may be written to before its end is known.
  child.on('error', ended);
  return {
    ask(command, args) {
      if (gone || !child.connected) return Promise.reject(new Error('a process of nodes ended'));
      const id = next++;
      const answer = Promise.withResolvers<unknown>();
      waiting.set(id, answer);
      child.send({ id, command, args });
      return answer.promise as Promise<never>;
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

function serve(): void {
  const nodes = new Map<string, StreamNode>();
  const players = new Map<string, ReturnType<typeof play>>();
  let size = 0;
  const run: { [K in Command]: (args: Commands[K]['args']) => Promise<Commands[K]['result']> } = {
    async start({ name, ip, options }) {
      const node = await startStreamNode(`bench ${name}`, ip, options);
      nodes.set(name, node);
      return { peerId: node.network.peerId };
    },
    async begin({ name, stream: { partMs, partBytes, fanOut } }) {
      const { streams } = nodes.get(name)!;
      const rendition = {
        ...testStart().renditions[0]!,
        bandwidth: Math.round((partBytes * 8000) / partMs),
      };
      const begun = await streams.begin(testStart({ partMs, fanOut, renditions: [rendition] }), none);
      size = partBytes;
      await encode(streams.ingest(begun.streamId), { partMs, size: partBytes });
      return begun;
    },
    async watch({ name, link, plays }) {
      const node = nodes.get(name)!;
      const streamId = await node.streams.watch(link, none);
      if (plays) players.set(name, play(node, streamId));
      // A stream that nobody plays is left after a minute: this player is there and asks for nothing.
      else node.streams.playback(streamId);
      return { streamId };
    },
    async figures({ streamId }) {
      const all: Record<string, NodeFigures> = {};
      for (const [name, node] of nodes) {
        const { sent, received } = node.network.traffic();
        const player = players.get(name);
        const parts = [...(player?.parts ?? [])];
        const forged = parts.filter(
          ([seq, bytes]) => Buffer.compare(bytes, testPayload('v', seq, size || bytes.length)) !== 0,
        );
        all[name] = {
          ...node.streams.stats(streamId),
          wireSent: sent,
          wireReceived: received,
          played: parts.length,
          holes: player?.gaps.length ?? 0,
          forged: forged.length,
        };
      }
      return Promise.resolve(all);
    },
    async flip({ name }) {
      nodes.get(name)!.meddle((frame) => {
        // A chunk of media: one bit of it.
        if (frame[0] !== 3) return [frame];
        const copy = frame.slice();
        copy[copy.length >> 1]! ^= 1;
        return [copy];
      });
      return Promise.resolve({});
    },
  };
  process.on('message', (message) => {
    const { id, command, args } = message as { id: number; command: Command; args: never };
    run[command](args).then(
      (result) => process.send!({ id, result }),
      (error: unknown) => process.send!({ id, error: String(error) }),
    );
  });
  process.once('disconnect', () => process.exit());
}

if (process.argv.includes('--host')) serve();
