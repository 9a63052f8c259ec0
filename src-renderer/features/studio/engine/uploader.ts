import type { Trouble } from './messages.ts';

/** A part on its way to the node. */
export interface OutPart {
  readonly seq: number;
  readonly segment: number;
  readonly pts: number;
  readonly duration: number;
  readonly independent: boolean;
  /** ms since the epoch. */
  readonly captured: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface NodeHealth {
  readonly queueMs: number;
  /** Bytes a second. */
  readonly uplink: number;
  readonly dropped: number;
  readonly viewers: number;
}

export interface Uploader {
  init(bytes: Uint8Array<ArrayBuffer>): void;
  part(part: OutPart): void;
  /** Sends nothing any more, and says nothing. */
  stop(): void;
  /** Waits until everything is there or can't be. */
  drain(): Promise<void>;
  readonly backlogMs: number;
  readonly left: number;
}

/** More than that does not wait, ms of media: what comes later is worth more to those who watch. */
const longestBacklog = 4000;
/** How long the node may be away before it is called lost, ms. */
const patience = 10_000;

/** Sends the parts of one rendition one after another. Never throws; what goes wrong is told. */
export function createUploader(options: {
  readonly url: string;
  readonly post: (url: string, bytes: Uint8Array<ArrayBuffer>) => Promise<Response>;
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
  readonly onHealth: (health: NodeHealth) => void;
  readonly onTrouble: (trouble: Trouble, detail: string) => void;
}): Uploader {
  const { url, post, now, wait, onHealth, onTrouble } = options;
  const queue: OutPart[] = [];
  let init: Uint8Array<ArrayBuffer> | null = null;
  let working: Promise<void> | null = null;
  let left = 0;
  let dead = false;

  async function send(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const started = now();
    for (;;) {
      try {
        const answer = await post(`${url}/${path}`, bytes);
        if (dead) return false;
        if (answer.ok) {
          onHealth({
            queueMs: numberOf(answer, 'stream-queue'),
            uplink: numberOf(answer, 'stream-uplink'),
            dropped: numberOf(answer, 'stream-dropped'),
            viewers: numberOf(answer, 'stream-viewers'),
          });
          return true;
        }
        const { code, message } = await errorOf(answer);
        // A part that the node has or no longer wants is done with; the stream goes on.
        if (code === 'part_out_of_order') return false;
        dead = true;
        const isOver = code === 'stream_ended' || code === 'stream_unknown';
        onTrouble(isOver ? 'stream_ended' : isNoAddress(answer) ? 'node_lost' : 'refused', message);
        return false;
      } catch (error) {
        if (dead) return false;
        if (now() - started > patience) {
          dead = true;
          onTrouble('node_lost', error instanceof Error ? error.message : String(error));
          return false;
        }
        await wait(250);
      }
    }
  }

  async function work(): Promise<void> {
    while (!dead && (init !== null || queue.length > 0)) {
      if (init !== null) {
        const bytes = init;
        init = null;
        await send('init', bytes);
        continue;
      }
      const part = queue.shift()!;
      const query = new URLSearchParams({
        pts: String(part.pts),
        duration: String(part.duration),
        captured: String(Math.round(part.captured)),
        independent: part.independent ? '1' : '0',
        segment: String(part.segment),
      });
      await send(`${part.seq}?${query.toString()}`, part.bytes);
    }
    if (dead) queue.length = 0;
    working = null;
  }

  const backlog = (): number => queue.reduce((sum, { duration }) => sum + duration / 90, 0);
  return {
    init(bytes) {
      init = bytes;
      working ??= work();
    },
    part(part) {
      if (dead) return;
      queue.push(part);
      if (backlog() > longestBacklog) {
        // Down to the newest part that can be decoded without those before.
        const from = queue.findLastIndex(({ independent }) => independent);
        if (from > 0) left += queue.splice(0, from).length;
      }
      working ??= work();
    },
    stop() {
      dead = true;
    },
    async drain() {
      await working;
    },
    get backlogMs() {
      return backlog();
    },
    get left() {
      return left;
    },
  };
}

const numberOf = (answer: Response, name: string): number => Number(answer.headers.get(name) ?? 0) || 0;

/** A node that was started anew does not know the address that an earlier start gave, and takes nothing there. */
const isNoAddress = ({ status }: Response): boolean => status === 404 || status === 405;

async function errorOf(answer: Response): Promise<{ code: string; message: string }> {
  try {
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    return error;
  } catch {
    return { code: 'internal', message: `The node answered ${answer.status}.` };
  }
}
