import type { TLSSocket } from 'node:tls';
import { parentPort } from 'node:worker_threads';
import { AppError } from '../../../src-shared/errors.ts';
import { wallClock as clock } from '../../../src-shared/wall-clock.ts';
import type { FrameStream } from '../../network/index.ts';
import { createSocketFrames } from './socket-frames.ts';
import { dialTls, listenTls } from './tls-sockets.ts';
import type { FromThread, ThreadError, ToThread } from './thread-messages.ts';

// The program of the bulk channel's thread: sockets, TLS and framing, so that the main thread touches no byte of a block.
// A socket can't be handed from thread to thread, so this one dials and listens itself.

/** Frames on their way to the main thread, bytes: beyond it the socket is not read. */
const underWayBytes = 8 * 1024 * 1024;

const port = parentPort!;
const sockets = new Map<number, TLSSocket>();
const channels = new Map<number, { readonly stream: FrameStream; taken(bytes: number): void }>();
const dials = new Map<number, AbortController>();
let lastId = 0;

const say = (message: FromThread): void => port.postMessage(message);

function plain(error: unknown): ThreadError {
  if (error instanceof AppError) return { code: error.code, message: error.message };
  return { code: 'internal', message: String(error) };
}

function keep(socket: TLSSocket): number {
  const id = ++lastId;
  sockets.set(id, socket);
  socket.once('close', () => sockets.delete(id));
  return id;
}

function use(id: number, maxFrame: number): void {
  const socket = sockets.get(id);
  if (!socket) return say({ t: 'closed', id });
  const stream = createSocketFrames(socket, '', maxFrame);
  let underWay = 0;
  let wake: (() => void) | null = null;
  channels.set(id, {
    stream,
    taken(bytes) {
      underWay -= bytes;
      wake?.();
    },
  });
  void stream.closed.then(() => {
    channels.delete(id);
    wake?.();
    say({ t: 'closed', id });
  });

  async function readAll(): Promise<void> {
    for (;;) {
      while (underWay > underWayBytes && channels.has(id)) {
        await new Promise<void>((resolve) => (wake = resolve));
        wake = null;
      }
      const frame = await stream.read();
      if (frame === null) return;
      underWay += frame.length;
      say({ t: 'frame', id, frame });
    }
  }
  readAll().then(
    () => say({ t: 'ended', id, error: null }),
    (error: unknown) => say({ t: 'ended', id, error: plain(error) }),
  );
}

async function send(id: number, parts: readonly Uint8Array[]): Promise<void> {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  try {
    await channels.get(id)?.stream.send(parts);
  } catch {
    // `ended` tells what happened.
  }
  say({ t: 'sent', id, bytes });
}

async function answer(call: number, work: Promise<FromThread>): Promise<void> {
  try {
    say(await work);
  } catch (error) {
    say({ t: 'failed', call, error: plain(error) });
  }
}

port.on('message', (message: ToThread) => {
  switch (message.t) {
    case 'listen': {
      const { call, cert, key, ips } = message;
      const certificate = { cert, key, fingerprint: new Uint8Array(0) };
      const listening = listenTls(certificate, ips, clock, (token, socket) => {
        say({ t: 'shown', id: keep(socket), token: Uint8Array.from(token) });
      });
      void answer(
        call,
        listening.then(({ addresses }) => ({ t: 'listening', call, addresses })),
      );
      break;
    }
    case 'dial': {
      const { call, host, port: to, fingerprint, token } = message;
      const hangUp = new AbortController();
      dials.set(call, hangUp);
      const dialling = dialTls(host, to, fingerprint, token, hangUp.signal).finally(() => dials.delete(call));
      void answer(
        call,
        dialling.then((socket) => ({ t: 'dialled', call, id: keep(socket) })),
      );
      break;
    }
    case 'hangUp':
      dials.get(message.call)?.abort();
      break;
    case 'use':
      use(message.id, message.maxFrame);
      break;
    case 'send':
      void send(message.id, message.parts);
      break;
    case 'taken':
      channels.get(message.id)?.taken(message.bytes);
      break;
    case 'close':
      void channels.get(message.id)?.stream.close();
      break;
    case 'destroy':
      sockets.get(message.id)?.destroy();
      break;
  }
});
