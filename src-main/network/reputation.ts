import type { Database } from '../store/index.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';

/** Remembers who broke protocols, across restarts. */
export interface Reputation {
  /** Counts one breach. Returns true when the peer is refused from now on. */
  penalise(peer: string): boolean;
  refused(peer: string): boolean;
}

/** A breach counts half after this long, ms. */
const halfLife = 10 * 60_000;
/** Sum of decayed breaches at which a peer is refused, that is the fifth in quick succession: a bug or two pass, a liar does not. */
const threshold = 4.5;
/** First refusal; doubled for each further one that follows before the score has decayed. ms */
const refusal = 10 * 60_000;
const longestRefusal = 24 * 60 * 60_000;
const maxRows = 10_000;

export function createReputation(db: Database, clock: Clock, logger: Logger): Reputation {
  interface Row {
    score: number;
    at: number;
    refused_until: number;
  }
  const select = db.prepare<[string], Row>('SELECT score, at, refused_until FROM peer_scores WHERE peer = ?');
  const upsert = db.prepare(
    'INSERT OR REPLACE INTO peer_scores (peer, score, at, refused_until) VALUES (?, ?, ?, ?)',
  );
  const trim = db.prepare(
    `DELETE FROM peer_scores WHERE peer IN (SELECT peer FROM peer_scores ORDER BY at DESC LIMIT -1 OFFSET ${maxRows})`,
  );
  // Asked at every connection, by strangers too: answered from memory.
  const refusedUntil = new Map<string, number>(
    db
      .prepare<[number], { peer: string; refused_until: number }>(
        'SELECT peer, refused_until FROM peer_scores WHERE refused_until > ?',
      )
      .all(clock.now())
      .map((row) => [row.peer, row.refused_until]),
  );

  return {
    penalise(peer) {
      const now = clock.now();
      const row = select.get(peer);
      const score = 1 + (row ? row.score * 2 ** (-Math.max(0, now - row.at) / halfLife) : 0);
      let until = row?.refused_until ?? 0;
      if (score >= threshold && until <= now) {
        until = Math.round(now + Math.min(longestRefusal, refusal * 2 ** (score - threshold)));
        refusedUntil.set(peer, until);
      }
      try {
        upsert.run(peer, score, now, until);
        trim.run();
      } catch (error) {
        // It is refused from memory all the same, until the next start.
        logger.warn({ peer, error: String(error) }, 'a breach could not be stored');
      }
      return until > now;
    },
    refused(peer) {
      const until = refusedUntil.get(peer);
      if (until === undefined) return false;
      if (until > clock.now()) return true;
      refusedUntil.delete(peer);
      return false;
    },
  };
}
