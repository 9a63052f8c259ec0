import type { Clock } from '../../src-shared/runtime.ts';
import type { Session } from './live/session-types.ts';
import type { Playback } from './streams-types.ts';

/** A rendition that no player asked for so long is not fetched any more, ms. */
const interestMs = 10_000;
/** A player that asked for nothing for so long is not counted as one, ms. */
const presentMs = 15_000;
/** Renditions that one player may ask for. */
const mostAsked = 16;

interface Player {
  lastAsked: number;
  /** When each rendition was asked for last. */
  readonly asked: Map<string, number>;
  /** Answers that are still being read. */
  reading: number;
  /** Closed, as soon as nothing is read any more. */
  closing: boolean;
}

/** Who plays one stream on this computer; what they ask for decides what is fetched. */
export interface Players {
  count(): number;
  /** When somebody used the stream last, ms of the clock. */
  usedAt(): number;
  /** It is used now. */
  used(): void;
  /** Tells the session what is wanted. @param watching somebody is about to play, though no player has come yet */
  refresh(watching: boolean): void;
  open(watching: () => boolean): Playback;
}

/** @param clock steady */
export function createPlayers(session: Session, clock: Clock): Players {
  const players = new Set<Player>();
  let usedAt = clock.now();

  function refresh(watching: boolean): void {
    const now = clock.now();
    const programme = session.programme();
    const wanted = new Set<number>();
    for (const player of players) {
      for (const [id, at] of player.asked) {
        const index = programme?.renditions.findIndex((each) => each.id === id) ?? -1;
        if (index >= 0 && now - at < interestMs) wanted.add(index);
      }
    }
    const present = [...players].filter((player) => player.reading > 0 || now - player.lastAsked < presentMs);
    if (present.some((player) => player.reading > 0)) usedAt = now;
    // Before a player has chosen: the best one, so that something is there when it asks.
    if (wanted.size === 0 && watching) wanted.add(0);
    session.watch(
      [...wanted].sort((a, b) => a - b),
      players.size,
    );
  }

  return {
    count: () => players.size,
    usedAt: () => usedAt,
    used() {
      usedAt = clock.now();
    },
    refresh,
    open(watching) {
      const player: Player = { lastAsked: clock.now(), asked: new Map(), reading: 0, closing: false };
      players.add(player);
      refresh(watching());
      const closed = Promise.withResolvers<void>();

      function leave(): void {
        if (player.reading > 0 || !player.closing || !players.delete(player)) return;
        refresh(watching());
        closed.resolve();
      }

      /** An answer that lasts as long as the stream: who reads it is there, however long nothing comes. */
      async function* counted(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
        player.reading += 1;
        try {
          yield* body;
        } finally {
          player.reading -= 1;
          player.lastAsked = usedAt = clock.now();
          leave();
        }
      }

      return {
        entrance: session.origin().entrance(),
        async get(file, query, signal) {
          player.lastAsked = usedAt = clock.now();
          const rendition = /^([a-z0-9]{1,16})\//.exec(file)?.[1];
          if (rendition !== undefined && player.asked.size < mostAsked) {
            const before = player.asked.get(rendition);
            player.asked.set(rendition, player.lastAsked);
            if (before === undefined || player.lastAsked - before > interestMs) refresh(watching());
          }
          const found = await session.origin().get(file, query, signal);
          return found.body instanceof Uint8Array ? found : { ...found, body: counted(found.body) };
        },
        close() {
          player.closing = true;
          leave();
        },
        closed: closed.promise,
      };
    },
  };
}
