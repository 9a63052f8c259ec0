import { describe, expect, test } from 'vitest';
import type { Proposal, Vote } from '../types.ts';
import { beginConsensus, defaultParams, proposerAt, reduce } from './reducer.ts';
import {
  blockA,
  blockB,
  bystander,
  hashOf,
  ids,
  proposalOf,
  run,
  set,
  start,
  timeout,
  valid,
  vote,
  votesIn,
} from './testing/drive.ts';
import type { ConsensusEvent } from './types.ts';

/* What the reducer does not do: which messages and timeouts it leaves alone, and where each of its bounds lies. */

const me = bystander();
const others = [0, 1, 2, 3].filter((i) => i !== me) as [number, number, number];
/** At the beginning of a round 0, waiting for a proposal. */
function proposing(change: Parameters<typeof start>[1] = {}) {
  const node = run(ids[me]!, start(set, change));
  node.feed(timeout('wait'), timeout('idle'));
  return node;
}
/** In a later round, where the others went. */
function inRound(round: number, change: Parameters<typeof start>[1] = {}) {
  const node = proposing(change);
  node.feed(vote(others[0], 'prevote', round, null), vote(others[1], 'prevote', round, null));
  expect(node.state().round).toBe(round);
  return node;
}
const changed = (event: ConsensusEvent, change: Partial<Proposal> | Partial<Vote>): ConsensusEvent =>
  event.type === 'proposal'
    ? { ...event, proposal: { ...event.proposal, ...(change as Partial<Proposal>) } }
    : event.type === 'vote'
      ? { ...event, vote: { ...event.vote, ...(change as Partial<Vote>) } }
      : event;
/** Nothing comes of it, and nothing is remembered. */
function ignored(node: ReturnType<typeof run>, event: ConsensusEvent): void {
  const before = node.state();
  expect(node.feed(event)).toEqual([]);
  expect(node.state()).toEqual(before);
}

describe('proposals', () => {
  test('count for this round and the next, from whose turn it is, once', () => {
    const node = proposing();
    const { state } = node;
    ignored(node, changed(proposalOf(state(), 0, blockA), { height: 0 }));
    ignored(node, changed(proposalOf(state(), 0, blockA), { height: 3 }));
    ignored(node, changed(proposalOf(state(), 0, blockA), { height: 2, round: 2 }));
    ignored(node, proposalOf(state(), 2, blockA));
    ignored(node, proposalOf(state(), 0, blockA, 0));
    ignored(node, proposalOf(state(), 1, blockA, 1));
    ignored(node, proposalOf(state(), 0, blockA, -2));
    const another = ids.find((id) => id !== proposerAt(state(), 0))!;
    ignored(node, changed(proposalOf(state(), 0, blockA), { proposer: another }));
    expect(node.feed(proposalOf(state(), 1, blockB))).toEqual([
      { type: 'validate', height: 1, blockId: blockB },
    ]);
    expect(node.feed(proposalOf(state(), 0, blockA))).toEqual([
      { type: 'validate', height: 1, blockId: blockA },
    ]);
    ignored(node, proposalOf(state(), 0, blockB));
    expect(state().rounds.get(0)).toMatchObject({ proposal: { blockId: blockA }, receivedAt: 1000 });
  });

  test('of round 0 end the wait, of a later one do not', () => {
    const node = run(ids[me]!);
    ignored(node, proposalOf(node.state(), 1, blockA));
    expect(node.state().step).toBe('wait');
    expect(node.feed(proposalOf(node.state(), 0, blockA))).toEqual([
      { type: 'validate', height: 1, blockId: blockA },
      { type: 'schedule', kind: 'propose', height: 1, round: 0, ms: 1000 },
    ]);
    expect(node.state().step).toBe('propose');
  });

  test('of a round that is over are fetched, as a quorum may still come, and asked for once', () => {
    const node = inRound(3);
    expect(node.feed(proposalOf(node.state(), 1, blockA))).toEqual([
      { type: 'validate', height: 1, blockId: blockA },
    ]);
    expect(node.feed(proposalOf(node.state(), 2, blockA))).toEqual([]);
    expect(node.state().rounds.get(2)!.proposal!.blockId).toBe(blockA);
    const done = node.feed(valid(blockA), ...others.map((i) => vote(i, 'precommit', 1, blockA)));
    expect(done.at(-1)).toMatchObject({ type: 'commit', commit: { round: 1, blockId: blockA } });
    expect(node.state().step).toBe('decided');
  });

  test('with a round of before wait for that round’s quorum, and are weighed against the lock by it', () => {
    const node = inRound(2);
    node.feed(proposalOf(node.state(), 2, blockA, 1));
    expect(votesIn(node.feed(valid(blockA)))).toEqual([]);
    node.feed(vote(others[0], 'prevote', 1, blockB), vote(others[1], 'prevote', 1, blockA));
    expect(votesIn(node.feed(vote(others[2], 'prevote', 1, blockA)))).toEqual([]);
    expect(votesIn(node.feed(vote(me, 'prevote', 1, blockA)))).toEqual([['prevote', 2, blockA]]);

    for (const [lock, expected] of [
      [0, blockB],
      [1, blockB],
      [2, null],
    ] as const) {
      const locked = run(
        ids[me]!,
        start(set, { resume: { round: 3, lock: { round: lock, blockId: blockA } } }),
      );
      locked.feed(
        ...others.map((i) => vote(i, 'prevote', 1, blockB)),
        proposalOf(locked.state(), 3, blockB, 1),
      );
      expect(votesIn(locked.feed(valid(blockB)))).toEqual([['prevote', 3, expected]]);
    }
    // An invalid block gets no vote, whatever quorum it had.
    const bad = inRound(2);
    bad.feed(...others.map((i) => vote(i, 'prevote', 1, blockB)), proposalOf(bad.state(), 2, blockB, 1));
    expect(votesIn(bad.feed({ type: 'validated', blockId: blockB, valid: false, time: 1000 }))).toEqual([
      ['prevote', 2, null],
    ]);
  });

  test('of the own turn: what had a quorum is proposed again with its round, else one is made', () => {
    const turn = [4, 5, 6, 7].find(
      (round) => proposerAt(beginConsensus(null, start()).state, round) === ids[me],
    )!;
    const again = run(ids[me]!, start(set, { resume: { round: turn, lock: { round: 1, blockId: blockA } } }));
    expect(again.effects).toEqual([
      { type: 'validate', height: 1, blockId: blockA },
      { type: 'propose', height: 1, round: turn, validRound: 1, blockId: blockA },
      { type: 'schedule', kind: 'propose', height: 1, round: turn, ms: 1000 + 500 * turn },
    ]);
    const fresh = inRound(turn);
    expect(fresh.effects).toContainEqual({ type: 'make', height: 1, round: turn });
    ignored(fresh, { type: 'made', height: 2, round: turn, blockId: blockA, time: 1 });
    ignored(fresh, { type: 'made', height: 1, round: turn - 1, blockId: blockA, time: 1 });
    expect(fresh.feed({ type: 'made', height: 1, round: turn, blockId: blockA, time: 1 })).toEqual([
      { type: 'propose', height: 1, round: turn, validRound: -1, blockId: blockA },
    ]);
    fresh.feed(timeout('propose', turn));
    expect(fresh.state().step).toBe('prevote');
    ignored(fresh, { type: 'made', height: 1, round: turn, blockId: blockB, time: 1 });
  });
});

describe('the time of a block', () => {
  const judged = (time: number, round = 0, lastTime = -1_000_000) => {
    const node = round === 0 ? proposing({ lastTime }) : inRound(round, { lastTime });
    const votes = votesIn(node.feed(proposalOf(node.state(), round, blockA), valid(blockA, time)));
    return votes[0]![2] !== null;
  };
  test('lies after the block before, at most the drift ahead, and behind by more the later the round', () => {
    const { maxDrift } = defaultParams;
    // Received at 1000.
    expect([1000 + maxDrift, 1000 - maxDrift].map((time) => judged(time))).toEqual([true, true]);
    expect([1001 + maxDrift, 999 - maxDrift].map((time) => judged(time))).toEqual([false, false]);
    expect(judged(1000 - 3 * maxDrift, 2)).toBe(true);
    expect(judged(999 - 3 * maxDrift, 2)).toBe(false);
    expect(judged(1001 + maxDrift, 2)).toBe(false);
    expect([-500_000, -499_999, -499_998].map((time) => judged(time, 0, -500_000))).toEqual([
      false,
      true,
      false,
    ]);
  });
});

describe('votes', () => {
  test('of other heights, strangers and rounds long over are left alone', () => {
    const node = inRound(40);
    ignored(node, vote(others[0], 'prevote', 40, blockA, 0));
    ignored(node, vote(others[0], 'prevote', 40, blockA, 3));
    ignored(proposing(), vote(others[0], 'prevote', -1, null));
    ignored(node, vote(others[0], 'prevote', 2, null, 2));
    ignored(node, vote(others[0], 'prevote', -1, null));
    ignored(node, changed(vote(others[0], 'prevote', 40, null), { validator: hashOf('a stranger') }));
    ignored(node, vote(others[0], 'prevote', 7, null));
    node.feed(vote(others[0], 'prevote', 8, null));
    expect(node.state().rounds.get(8)!.prevotes.voted).toBe(10n);
    // Told twice.
    ignored(node, vote(others[0], 'prevote', 8, null));
  });

  test('of rounds ahead tell where their sender is, and of the next round count', () => {
    const node = proposing();
    node.feed(vote(others[0], 'precommit', 1, blockA));
    expect(node.state().rounds.get(1)!.precommits.voted).toBe(10n);
    node.feed(vote(others[0], 'precommit', 2, blockA));
    expect(node.state().rounds.has(2)).toBe(false);
    expect(node.state().highest[others[0]]).toBe(2);
    node.feed(vote(others[0], 'prevote', 1, null));
    expect(node.state().highest[others[0]]).toBe(2);
    expect(node.state().round).toBe(0);
    // Two of four are more than a third: to the round in which both are.
    node.feed(vote(others[1], 'prevote', 6, null));
    expect(node.state()).toMatchObject({ round: 2, step: 'propose' });
    node.feed(vote(others[2], 'prevote', 5, null));
    expect(node.state()).toMatchObject({ round: 5, step: 'propose' });
  });

  test('a third alone moves nobody', () => {
    const weighted = [10n, 10n, 10n].map((power, i) => ({ id: ids[i]!, key: ids[i]!, power }));
    const node = run(ids[0]!, start(weighted));
    node.feed(vote(1, 'prevote', 4, null));
    expect(node.state()).toMatchObject({ round: 0, step: 'wait' });
    node.feed(vote(2, 'prevote', 4, null));
    expect(node.state()).toMatchObject({ round: 4, step: 'propose' });
  });

  test('two thirds are no quorum', () => {
    const weighted = [10n, 10n, 10n].map((power, i) => ({ id: ids[i]!, key: ids[i]!, power }));
    const node = run(ids[0]!, start(weighted));
    node.feed(timeout('wait'), timeout('idle'), proposalOf(node.state(), 0, blockA), valid(blockA));
    const two = node.feed(vote(0, 'precommit', 0, blockA), vote(1, 'precommit', 0, blockA));
    expect(two.filter(({ type }) => type === 'commit' || type === 'schedule')).toEqual([]);
    expect(node.feed(vote(2, 'precommit', 0, blockA)).at(-1)).toMatchObject({ type: 'commit' });
  });

  test('after the decision nothing counts', () => {
    const node = proposing();
    node.feed(proposalOf(node.state(), 0, blockA), valid(blockA));
    node.feed(...others.map((i) => vote(i, 'precommit', 0, blockA)));
    expect(node.state().decided).not.toBeNull();
    ignored(node, vote(me, 'precommit', 0, blockA));
    ignored(node, proposalOf(node.state(), 1, blockB));
    for (const kind of ['wait', 'idle', 'propose', 'prevote', 'precommit'] as const)
      ignored(node, timeout(kind));
  });

  test('for the block before make its certificate fuller: precommits of its round for it, by its members', () => {
    const commit = {
      ...{ height: 1, round: 1, blockId: blockA },
      signatures: others.map((i) => ({ validator: ids[i]!, sig: new Uint8Array(64) })),
    };
    const node = run(ids[me]!, start(set, { height: 2, last: { validators: set, commit } }));
    const late = vote(me, 'precommit', 1, blockA);
    ignored(node, vote(me, 'prevote', 1, blockA));
    ignored(node, vote(me, 'precommit', 0, blockA));
    ignored(node, vote(me, 'precommit', 1, blockB));
    ignored(node, vote(me, 'precommit', 1, null));
    ignored(node, changed(late, { validator: hashOf('a stranger') }));
    expect(node.state().last!.votes.voted).toBe(30n);
    expect(node.feed(late)).toEqual([]);
    expect(node.state().last!.votes.voted).toBe(40n);
    ignored(node, late);
    ignored(run(ids[me]!, start(set, { height: 2 })), late);
  });

  test('of the next height are kept, by kind, round and sender, up to a bound', () => {
    const node = proposing();
    const next = (i: number, type: 'prevote' | 'precommit', round: number) => vote(i, type, round, blockA, 2);
    for (const i of [0, 1, 2, 3]) {
      for (const type of ['prevote', 'precommit'] as const)
        for (const round of [0, 1]) node.feed(next(i, type, round));
    }
    node.feed(changed(proposalOf(node.state(), 1, blockB), { height: 2 }));
    expect(node.state().ahead.size).toBe(17);
    // The first that came of each stands.
    ignored(node, vote(0, 'prevote', 0, blockB, 2));
    for (let i = 0; i < 100; i++)
      node.feed(changed(next(0, 'prevote', 0), { validator: hashOf(`stranger ${i}`) }));
    expect(node.state().ahead.size).toBe(64);
    node.feed({ type: 'height', start: start(set, { height: 2, elapsed: 0 }) });
    expect(node.state().height).toBe(2);
    // A quorum of precommits of round 0: the block is asked for.
    expect(node.effects).toContainEqual({ type: 'validate', height: 2, blockId: blockA });
    expect(node.state().ahead.size).toBe(0);
  });
});

describe('timeouts', () => {
  const durations = (round: number) => {
    const node = inRound(round);
    const found: number[] = [];
    const note = (...events: ConsensusEvent[]) => {
      for (const one of node.feed(...events)) if (one.type === 'schedule') found.push(one.ms);
    };
    found.push(node.effects.flatMap((one) => (one.type === 'schedule' ? [one.ms] : [])).at(-1)!);
    note(timeout('propose', round));
    note(
      vote(others[0], 'prevote', round, blockA),
      vote(others[1], 'prevote', round, blockB),
      vote(others[2], 'prevote', round, null),
    );
    note(timeout('prevote', round));
    note(
      ...others.map((i, n) => vote(i, 'precommit', round, n === 0 ? blockA : null)),
      vote(me, 'precommit', round, blockB),
    );
    return found;
  };
  test('grow with the round, up to ten seconds', () => {
    expect(durations(1)).toEqual([1500, 750, 750]);
    expect(durations(8)).toEqual([5000, 2500, 2500]);
    expect(durations(18)).toEqual([10_000, 5000, 5000]);
    expect(durations(60)).toEqual([10_000, 10_000, 10_000]);
    // A base above the bound stands by itself.
    const slow = beginConsensus(ids[me]!, start(set, { resume: { round: 3, lock: null } }), {
      ...defaultParams,
      propose: 15_000,
    });
    expect(slow.effects.at(-1)).toMatchObject({ kind: 'propose', ms: 15_000 });
  });

  test('count in their height, round and step alone', () => {
    const node = proposing();
    for (const one of [
      timeout('wait'),
      timeout('idle'),
      timeout('prevote'),
      timeout('propose', 1),
      timeout('precommit', 1),
    ])
      ignored(node, one);
    ignored(node, { ...timeout('propose'), height: 2 } as ConsensusEvent);
    expect(votesIn(node.feed(timeout('propose')))).toEqual([['prevote', 0, null]]);
    ignored(node, timeout('propose'));
    expect(votesIn(node.feed(timeout('prevote')))).toEqual([['precommit', 0, null]]);
    ignored(node, timeout('prevote'));
    expect(node.feed(timeout('precommit'))).toContainEqual({
      type: 'schedule',
      kind: 'propose',
      height: 1,
      round: 1,
      ms: 1500,
    });
    expect(node.state()).toMatchObject({ round: 1, step: 'propose' });

    const waiting = run(ids[me]!);
    for (const kind of ['idle', 'propose', 'prevote', 'precommit'] as const) ignored(waiting, timeout(kind));
    waiting.feed(timeout('wait'));
    expect(waiting.state().step).toBe('idle');
    for (const kind of ['wait', 'propose', 'prevote', 'precommit'] as const) ignored(waiting, timeout(kind));
  });

  test('of waiting: what is left of the interval, and of that for empty blocks', () => {
    expect(run(ids[me]!, start(set, { elapsed: 250 })).effects).toEqual([
      { type: 'schedule', kind: 'wait', height: 1, round: 0, ms: 750 },
    ]);
    const idle = (emptyAfter?: number) =>
      run(ids[me]!, start(set, emptyAfter === undefined ? {} : { emptyAfter })).feed(timeout('wait'));
    expect(idle()).toMatchObject([{ kind: 'idle', ms: 14_000 }]);
    expect(idle(5000)).toMatchObject([{ kind: 'idle', ms: 4000 }]);
    expect(idle(500)).toMatchObject([{ kind: 'idle', ms: 0 }]);
    // A transaction ends idling at once, and waiting only with the interval.
    const node = run(ids[me]!);
    expect(node.feed({ type: 'txsAvailable' })).toEqual([]);
    expect(node.state().step).toBe('wait');
    expect(node.feed(timeout('wait'))).toMatchObject([{ kind: 'propose', round: 0 }]);
    expect(node.state().step).toBe('propose');
  });

  test('of a round begin once, with a quorum of any votes', () => {
    const node = proposing();
    const mixed = (type: 'prevote' | 'precommit') => [
      vote(others[0], type, 0, blockA),
      vote(others[1], type, 0, blockB),
      vote(others[2], type, 0, null),
    ];
    // Before its own prevote a node waits for no more prevotes; precommits move it on in any step.
    expect(node.feed(...mixed('prevote'))).toEqual([]);
    expect(node.feed(timeout('propose')).filter(({ type }) => type === 'schedule')).toMatchObject([
      { kind: 'prevote', round: 0, ms: 500 },
    ]);
    expect(node.feed(vote(me, 'prevote', 0, null)).filter(({ type }) => type === 'schedule')).toEqual([]);
    expect(node.feed(...mixed('precommit'))).toMatchObject([
      { type: 'schedule', kind: 'precommit', round: 0, ms: 500 },
    ]);
    expect(node.feed(vote(me, 'precommit', 0, null)).filter(({ type }) => type === 'schedule')).toEqual([]);
  });
});

describe('locks and old rounds', () => {
  test('a quorum seen after the own precommit is what is proposed next, and binds to nothing', () => {
    const node = proposing();
    node.feed(proposalOf(node.state(), 0, blockA), timeout('propose'), timeout('prevote'));
    expect(node.state().step).toBe('precommit');
    node.feed(valid(blockA), ...others.map((i) => vote(i, 'prevote', 0, blockA)));
    expect(node.state()).toMatchObject({ validRound: 0, validId: blockA, lockedRound: -1, lockedId: null });
  });

  test('a quorum for nothing frees nobody and is precommitted once', () => {
    const node = run(ids[me]!, start(set, { resume: { round: 1, lock: { round: 0, blockId: blockA } } }));
    node.feed(timeout('propose', 1));
    const votes = votesIn(node.feed(...others.map((i) => vote(i, 'prevote', 1, null))));
    expect(votes).toEqual([['precommit', 1, null]]);
    expect(node.state()).toMatchObject({
      lockedRound: 0,
      lockedId: blockA,
      validRound: 0,
      step: 'precommit',
    });
    expect(votesIn(node.feed(vote(me, 'prevote', 1, null)))).toEqual([]);
  });

  test('the block of a quorum is asked for also while its proposal is awaited, and not precommitted before it is here', () => {
    const node = proposing();
    const asked = node.feed(...others.map((i) => vote(i, 'prevote', 0, blockA)));
    expect(asked).toEqual([{ type: 'validate', height: 1, blockId: blockA }]);
    const late = node.feed(timeout('propose'));
    expect(votesIn(late)).toEqual([['prevote', 0, null]]);
    expect(node.state().lockedRound).toBe(-1);
    expect(votesIn(node.feed(valid(blockA)))).toEqual([['precommit', 0, blockA]]);
    expect(node.state()).toMatchObject({ lockedRound: 0, lockedId: blockA, validRound: 0 });
  });

  test('of many failed rounds 32 are kept, and those it is bound to', () => {
    const node = run(ids[me]!, start(set, { resume: { round: 1, lock: { round: 0, blockId: blockA } } }));
    node.feed(vote(others[0], 'prevote', 0, blockA));
    for (let round = 1; round < 60; round++) {
      node.feed(vote(others[0], 'precommit', round, null), vote(others[1], 'precommit', round, null));
    }
    const kept = [...node.state().rounds.keys()].sort((a, b) => a - b);
    expect(kept).toHaveLength(32);
    expect(kept[0]).toBe(0);
    expect(kept[1]).toBe(29);
  });

  test('who is not in the set follows and says nothing', () => {
    for (const own of [null, hashOf('a stranger')]) {
      let { state, effects } = beginConsensus(own, start());
      const all = [...effects];
      const feed = (...events: ConsensusEvent[]) => {
        for (const event of events) {
          ({ state, effects } = reduce(state, event));
          all.push(...effects);
        }
      };
      feed(timeout('wait'), timeout('idle'), proposalOf(state, 0, blockA), valid(blockA));
      feed(
        ...ids.map((_, i) => vote(i, 'prevote', 0, blockA)),
        ...others.map((i) => vote(i, 'precommit', 0, blockA)),
      );
      expect(all.filter(({ type }) => type === 'vote' || type === 'make' || type === 'propose')).toEqual([]);
      expect(all.at(-1)).toMatchObject({ type: 'commit', commit: { blockId: blockA } });
    }
  });
});

describe('what must be there before a node acts', () => {
  test('an invalid block gets no vote', () => {
    const node = proposing();
    node.feed(proposalOf(node.state(), 0, blockA));
    const told = node.feed({ type: 'validated', blockId: blockA, valid: false, time: 1000 });
    expect(votesIn(told)).toEqual([['prevote', 0, null]]);
  });

  test('no timeout of prevotes without a quorum of them', () => {
    const node = proposing();
    node.feed(timeout('propose'));
    const two = node.feed(vote(others[0], 'prevote', 0, null), vote(others[1], 'prevote', 0, blockA));
    expect(two).toEqual([]);
    expect(node.feed(vote(others[2], 'prevote', 0, blockB))).toMatchObject([
      { type: 'schedule', kind: 'prevote' },
    ]);
  });

  test('nothing is final before its body is here and good', () => {
    const node = proposing();
    const quorum = node.feed(...others.map((i) => vote(i, 'precommit', 0, blockA)));
    expect(quorum).toContainEqual({ type: 'validate', height: 1, blockId: blockA });
    expect(node.state()).toMatchObject({ decided: null });
    expect(node.feed(valid(blockA)).at(-1)).toMatchObject({ type: 'commit' });
  });

  test('a quorum for nothing decides nothing, and asks for nothing', () => {
    const node = proposing();
    expect(node.feed(...others.map((i) => vote(i, 'prevote', 0, null)))).toEqual([]);
    expect(node.feed(...others.map((i) => vote(i, 'precommit', 0, null)))).toMatchObject([
      { type: 'schedule', kind: 'precommit' },
    ]);
    expect(node.state()).toMatchObject({ decided: null, round: 0 });
  });

  test('a proposal with round 0 behind it waits for the quorum of round 0', () => {
    const node = inRound(1);
    node.feed(proposalOf(node.state(), 1, blockA, 0));
    expect(votesIn(node.feed(valid(blockA)))).toEqual([]);
    expect(votesIn(node.feed(...others.map((i) => vote(i, 'prevote', 0, blockA))))).toEqual([
      ['prevote', 1, blockA],
    ]);
  });

  test('a quorum seen before the own prevote binds only after it', () => {
    const node = proposing();
    // The block is known, as it is proposed for the next round.
    node.feed(proposalOf(node.state(), 1, blockB), valid(blockB));
    node.feed(...others.map((i) => vote(i, 'prevote', 0, blockB)));
    expect(node.state()).toMatchObject({ step: 'propose', validRound: -1, lockedRound: -1 });
    expect(votesIn(node.feed(timeout('propose')))).toEqual([
      ['prevote', 0, null],
      ['precommit', 0, blockB],
    ]);
    expect(node.state()).toMatchObject({ validRound: 0, lockedRound: 0, lockedId: blockB });
  });

  test('more than a third end a wait also in the first rounds', () => {
    for (const round of [0, 1]) {
      const node = run(ids[me]!);
      node.feed(vote(others[0], 'prevote', round, null));
      expect(node.state().step).toBe('wait');
      node.feed(vote(others[1], 'prevote', round, null));
      expect(node.state()).toMatchObject({ step: 'propose', round });
    }
  });

  test('a new height begins with its wait and without what waited before', () => {
    const node = run(ids[me]!);
    node.feed({ type: 'txsAvailable' });
    expect(node.feed({ type: 'height', start: start(set, { height: 2, elapsed: 300 }) })).toEqual([
      { type: 'schedule', kind: 'wait', height: 2, round: 0, ms: 700 },
    ]);
    node.feed({ ...timeout('wait'), height: 2 } as ConsensusEvent);
    expect(node.state().step).toBe('idle');
  });

  test('the first member of the set can be late, too', () => {
    const commit = {
      ...{ height: 1, round: 0, blockId: blockA },
      signatures: [1, 2, 3].map((i) => ({ validator: ids[i]!, sig: new Uint8Array(64) })),
    };
    const node = run(ids[1]!, start(set, { height: 2, last: { validators: set, commit } }));
    node.feed(vote(0, 'precommit', 0, blockA));
    expect(node.state().last!.votes.voted).toBe(40n);
  });

  test('rounds of the lock and of the last quorum both stay, and the oldest of the others go first', () => {
    const node = run(ids[me]!, start(set, { resume: { round: 3, lock: { round: 1, blockId: blockA } } }));
    node.feed(
      vote(others[0], 'prevote', 1, blockA),
      vote(others[0], 'prevote', 2, null),
      vote(others[0], 'prevote', 0, null),
    );
    // A quorum for another block after the own precommit.
    node.feed(
      timeout('propose', 3),
      timeout('prevote', 3),
      proposalOf(node.state(), 3, blockB),
      valid(blockB),
    );
    node.feed(...others.map((i) => vote(i, 'prevote', 3, blockB)));
    expect(node.state()).toMatchObject({ lockedRound: 1, validRound: 3 });
    for (let round = 4; round < 34; round++)
      node.feed(vote(others[0], 'precommit', round, null), vote(others[1], 'precommit', round, null));
    const kept = () => [...node.state().rounds.keys()].sort((a, b) => a - b);
    expect(kept().slice(0, 4)).toEqual([1, 3, 4, 5]);
    expect(kept()).toHaveLength(32);
    for (let round = 34; round < 60; round++)
      node.feed(vote(others[0], 'precommit', round, null), vote(others[1], 'precommit', round, null));
    expect(kept().slice(0, 3)).toEqual([1, 3, 30]);
  });

  test('an event changes no state but the one it gives', () => {
    const node = proposing();
    const before = node.state();
    const copy = structuredClone({ ...before, index: null, rules: null, start: null, last: null });
    node.feed(
      proposalOf(before, 0, blockA),
      valid(blockA),
      ...others.map((i) => vote(i, 'prevote', 2, blockA)),
    );
    expect(structuredClone({ ...before, index: null, rules: null, start: null, last: null })).toEqual(copy);
  });
});
