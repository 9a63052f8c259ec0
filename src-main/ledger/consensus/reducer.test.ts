import { describe, expect, test } from 'vitest';
import type { Validator, ValidatorId } from '../types.ts';
import { absentMembers, proposerOf } from './proposer.ts';
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
import { keyOf } from './validator-index.ts';

describe('the reducer', () => {
  test('one validator alone commits by itself', () => {
    const solo = run(ids[0]!, start([set[0]!]));
    expect(solo.effects).toEqual([{ type: 'schedule', kind: 'wait', height: 1, round: 0, ms: 0 }]);
    expect(solo.feed({ type: 'txsAvailable' }, timeout('wait'))[0]).toEqual({
      type: 'make',
      height: 1,
      round: 0,
    });
    const made = solo.feed({ type: 'made', height: 1, round: 0, blockId: blockA, time: 5 });
    expect(made).toEqual([{ type: 'propose', height: 1, round: 0, validRound: -1, blockId: blockA }]);
    expect(votesIn(solo.feed(proposalOf(solo.state(), 0, blockA)))).toEqual([['prevote', 0, blockA]]);
    expect(votesIn(solo.feed(vote(0, 'prevote', 0, blockA)))).toEqual([['precommit', 0, blockA]]);
    const done = solo.feed(vote(0, 'precommit', 0, blockA));
    expect(done).toEqual([
      {
        type: 'commit',
        commit: {
          height: 1,
          round: 0,
          blockId: blockA,
          signatures: [{ validator: ids[0], sig: new Uint8Array(64) }],
        },
      },
    ]);
  });

  test('with nothing to include it waits for a transaction, or the longer interval', () => {
    const solo = run(ids[0]!, start([set[0]!], { elapsed: 400 }));
    expect(solo.effects[0]).toMatchObject({ kind: 'wait', ms: 600 });
    expect(solo.feed(timeout('wait'))).toEqual([
      { type: 'schedule', kind: 'idle', height: 1, round: 0, ms: 14_000 },
    ]);
    expect(solo.feed({ type: 'txsAvailable' })[0]).toMatchObject({ type: 'make' });
    const other = run(ids[0]!, start([set[0]!]));
    other.feed(timeout('wait'));
    expect(other.feed(timeout('idle'))[0]).toMatchObject({ type: 'make' });
  });

  test('a precommitted block binds: another one is refused until a later quorum of prevotes frees', () => {
    const me = bystander();
    const others = [0, 1, 2, 3].filter((i) => i !== me);
    const node = run(ids[me]!);
    node.feed(timeout('wait'), timeout('idle'), proposalOf(node.state(), 0, blockA), valid(blockA));
    node.feed(vote(me, 'prevote', 0, blockA));
    const locked = node.feed(vote(others[0]!, 'prevote', 0, blockA), vote(others[1]!, 'prevote', 0, blockA));
    expect(votesIn(locked)).toEqual([['precommit', 0, blockA]]);
    node.feed(timeout('precommit', 0));
    expect(node.state().round).toBe(1);
    expect(votesIn(node.feed(proposalOf(node.state(), 1, blockB), valid(blockB)))).toEqual([
      ['prevote', 1, null],
    ]);
    // The others agree on B in round 1 all the same; in round 2 B comes with that quorum.
    node.feed(...others.map((i) => vote(i, 'prevote', 1, blockB)));
    expect(node.state().validRound).toBe(1);
    node.feed(timeout('prevote', 1), timeout('precommit', 1));
    expect(votesIn(node.feed(proposalOf(node.state(), 2, blockB, 1)))).toEqual([['prevote', 2, blockB]]);
  });

  test('the lock survives the loss of the log: the sign-state brings it back', () => {
    const me = bystander();
    const node = run(ids[me]!, start(set, { resume: { round: 1, lock: { round: 0, blockId: blockA } } }));
    expect(node.effects[0]).toEqual({ type: 'validate', height: 1, blockId: blockA });
    expect(votesIn(node.feed(proposalOf(node.state(), 1, blockB), valid(blockB)))).toEqual([
      ['prevote', 1, null],
    ]);
  });

  test('goes to the round in which more than a third are', () => {
    const me = bystander();
    const others = [0, 1, 2, 3].filter((i) => i !== me);
    const node = run(ids[me]!);
    node.feed(vote(others[0]!, 'prevote', 5, null));
    expect(node.state().step).toBe('wait');
    node.feed(vote(others[1]!, 'precommit', 7, null));
    expect(node.state()).toMatchObject({ round: 5, step: 'propose' });
  });

  test('a block far from the own clock gets no vote; an own one does', () => {
    const me = bystander();
    for (const [time, wanted] of [
      [11_001, null],
      [11_000, blockA],
      [-9001, null],
    ] as const) {
      const node = run(ids[me]!, start(set, { lastTime: -1_000_000 }));
      node.feed(timeout('wait'), timeout('idle'));
      expect(votesIn(node.feed(proposalOf(node.state(), 0, blockA), valid(blockA, time)))).toEqual([
        ['prevote', 0, wanted],
      ]);
    }
    const past = run(ids[me]!, start(set, { lastTime: 1000 }));
    past.feed(timeout('wait'), timeout('idle'));
    expect(votesIn(past.feed(proposalOf(past.state(), 0, blockA), valid(blockA, 1000)))[0]).toEqual([
      'prevote',
      0,
      null,
    ]);
    const solo = run(ids[0]!, start([set[0]!], { lastTime: 5_000_000 }));
    solo.feed(timeout('wait'), timeout('idle'), {
      type: 'made',
      height: 1,
      round: 0,
      blockId: blockA,
      time: 5_000_001,
    });
    expect(votesIn(solo.feed(proposalOf(solo.state(), 0, blockA)))).toEqual([['prevote', 0, blockA]]);
  });

  test('two votes of one validator are evidence, once, and both count', () => {
    const me = bystander();
    const [a, b, c] = [0, 1, 2, 3].filter((i) => i !== me) as [number, number, number];
    const node = run(ids[me]!);
    node.feed(timeout('wait'), timeout('idle'), proposalOf(node.state(), 0, blockA), valid(blockA));
    node.feed(vote(a, 'precommit', 0, blockB));
    expect(node.feed(vote(a, 'precommit', 0, blockA))).toMatchObject([{ type: 'evidence' }]);
    expect(node.feed(vote(a, 'precommit', 0, null))).toEqual([]);
    const done = node.feed(vote(b, 'precommit', 0, blockA), vote(c, 'precommit', 0, blockA));
    expect(done.at(-1)).toMatchObject({ type: 'commit', commit: { blockId: blockA } });
  });

  test('memory is bounded whatever a member sends', () => {
    const me = bystander();
    const other = (me + 1) % 4;
    const node = run(ids[me]!);
    for (let i = 0; i < 2000; i++) {
      node.feed(vote(other, 'prevote', 0, hashOf(`junk ${i}`)), vote(other, 'prevote', i + 2, null));
      node.feed(vote(other, 'prevote', i % 5, hashOf(`next ${i}`), 2));
    }
    const { rounds, ahead } = node.state();
    expect(rounds.size).toBe(1);
    expect(rounds.get(0)!.prevotes.more.length).toBe(1);
    expect(ahead.size).toBe(2);
  });

  test('messages of the next height wait for it', () => {
    const me = bystander();
    const node = run(ids[me]!);
    node.feed(vote((me + 1) % 4, 'prevote', 0, null, 2));
    node.feed({ type: 'height', start: start(set, { height: 2 }) });
    expect(node.state().rounds.get(0)!.prevotes.voted).toBe(10n);
  });

  test('a quorum for a block that does not execute here halts', () => {
    const me = bystander();
    const others = [0, 1, 2, 3].filter((i) => i !== me);
    const node = run(ids[me]!);
    node.feed(timeout('wait'), timeout('idle'), proposalOf(node.state(), 0, blockA), {
      type: 'validated',
      blockId: blockA,
      valid: false,
      time: 5,
    });
    const effects = node.feed(...others.map((i) => vote(i, 'precommit', 0, blockA)));
    expect(effects.at(-1)).toEqual({ type: 'halt', blockId: blockA });
  });
});

describe('turns', () => {
  const weighted: Validator[] = [50n, 30n, 15n, 5n].map((power, i) => ({ id: ids[i]!, key: ids[i]!, power }));

  test('over any hundred turns each proposes as often as its stake says, within two', () => {
    for (const from of [1, 1000, 123_456]) {
      for (const { id, power } of weighted) {
        let turns = 0;
        for (let i = 0; i < 100; i++)
          if (keyOf(proposerOf(weighted, [], from + i, 0).id) === keyOf(id)) turns++;
        expect(Math.abs(turns - Number(power))).toBeLessThanOrEqual(2);
      }
    }
  });

  test('the absent have no turn, unless all are or many rounds failed', () => {
    const turns = (absent: readonly ValidatorId[], from: number, count: number): Set<string> =>
      new Set(
        Array.from({ length: count }, (_, round) => keyOf(proposerOf(set, absent, 7, from + round).id)),
      );
    expect(turns([ids[2]!], 0, 15).has(keyOf(ids[2]!))).toBe(false);
    expect(turns([ids[2]!], 16, 30).has(keyOf(ids[2]!))).toBe(true);
    expect(turns(ids, 0, 15).size).toBe(4);
  });

  test('absent is who signed none of the last certificates, as a member of each', () => {
    const all = { validators: set, signers: ids.slice(0, 3) };
    expect(absentMembers(set, [all, all])).toEqual([ids[3]]);
    expect(absentMembers(set, [all, { validators: set, signers: ids }])).toEqual([]);
    expect(absentMembers(set, [all, { validators: set.slice(0, 3), signers: ids.slice(0, 3) }])).toEqual([]);
    expect(absentMembers(set, [])).toEqual([]);
  });
});
