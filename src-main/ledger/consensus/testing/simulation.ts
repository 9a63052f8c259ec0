import { createHash } from 'node:crypto';
import type { Validator, ValidatorId, ValidatorSet } from '../../types.ts';
import { defaultParams, tendermint } from '../reducer.ts';
import type { ConsensusRules } from '../types.ts';
import { keyOf } from '../validator-index.ts';
import { createSeeded } from './seeded.ts';
import { Crash, createSimNode } from './sim-node.ts';
import type { Misbehaviour, SimBlock, SimMessage, SimNode } from './sim-node.ts';
import { createVirtualTime } from './virtual-time.ts';

export interface SimOptions {
  readonly seed: number;
  readonly validators: number;
  /** Default: the protocol as it is. Others are for negative controls. */
  readonly rules?: ConsensusRules;
  /** Heights every honest validator must decide after the faults have ended. */
  readonly progress?: number;
  /** Nothing but the attack that locking defends against: one Byzantine of four lets one validator decide and then starts over with the rest. */
  readonly lockAttack?: boolean;
  /** Virtual ms with faults. */
  readonly faultsFor?: number;
}

export interface SimResult {
  /** Null when all went well. */
  readonly violation: string | null;
  readonly heights: number;
  readonly virtualMs: number;
  readonly messages: number;
  readonly crashes: number;
  readonly byzantine: number;
  /** Honest validators that were accused: must be none. */
  readonly falselyAccused: number;
  readonly accused: number;
}

/** After healing: virtual ms in which all must go on. */
const patience = 240_000;
const tellEvery = 200;

/**
 * One run, wholly determined by its seed: some validators are Byzantine (below a third of the power at every height), clocks are
 * off, messages are lost, delayed, doubled and cut off by partitions, validators crash at any point and lose what they had not yet
 * made durable, the validator set changes. Then the network heals.
 */
export function simulate(options: SimOptions): SimResult {
  const { seed, validators: size } = options;
  const rules = options.rules ?? tendermint;
  const random = createSeeded(seed);
  const time = createVirtualTime();
  const faultsFor = options.faultsFor ?? random.between(5_000, 40_000);
  const ids: ValidatorId[] = Array.from(
    { length: size },
    (_, i) => new Uint8Array(createHash('sha256').update(`validator ${seed} ${i}`).digest()),
  );
  const attack = options.lockAttack === true;
  const equal = attack || random.chance(0.3);
  const base = ids.map(() => (equal ? 10 : 5 + random.below(10)));
  const changes = !attack && random.chance(0.5);
  /** Now and then powers shift, and one of the larger sets' members has a rest. */
  const powerAt = (i: number, height: number): number => {
    if (!changes || height < 3) return base[i]!;
    const era = Math.floor(height / 3);
    if (size > 4 && (era + i) % (size + 3) === 0) return 0;
    return base[i]! + ((era * (i + 1)) % 3);
  };
  const sets = new Map<number, ValidatorSet>();
  function validatorsAt(height: number): ValidatorSet {
    let set = sets.get(height);
    if (!set) {
      set = ids
        .map((id, i): Validator => ({ id, key: id, power: BigInt(powerAt(i, height)) }))
        .filter(({ power }) => power > 0n)
        .sort((a, b) => (a.power === b.power ? Buffer.compare(a.id, b.id) : a.power > b.power ? -1 : 1));
      sets.set(height, set);
    }
    return set;
  }

  // Whoever decides first is cut off before it can tell, and the Byzantine see to it that it is only one: what locking is for.
  const cutsDeciders = attack || random.chance(0.35);
  const favoured = random.below(size);
  const precommitLoss = attack ? 0.05 : cutsDeciders ? random.between(0.2, 0.7) : 0;
  const aloneUntil = ids.map(() => 0);

  // Byzantine as many as fit below a third at every height of the run.
  const bad = new Map<number, Misbehaviour>();
  const wanted = !attack && random.chance(0.25) ? 0 : 1 + random.below(Math.max(1, Math.floor(size / 3)));
  for (let i = 0; i < wanted; i++) {
    const candidate = (seed + i * 3) % size;
    const group = [...bad.keys(), candidate];
    const below = Array.from({ length: 3 * (size + 3) }, (_, era) => 3 * era + 1).every((height) => {
      const total = ids.reduce((sum, _id, at) => sum + powerAt(at, height), 0);
      return 3 * group.reduce((sum, at) => sum + powerAt(at, height), 0) < total;
    });
    if (!below || bad.has(candidate)) continue;
    bad.set(candidate, {
      equivocates: !attack && random.chance(0.7),
      doubleVotes: !attack && random.chance(0.7),
      proposesInvalid: !attack && random.chance(0.2),
      silent: !attack && random.chance(0.1),
      forgets: cutsDeciders || random.chance(0.5),
      favours: cutsDeciders || random.chance(0.2) ? favoured : -1,
    });
  }

  let faulty = true;
  let messages = 0;
  let crashes = 0;
  let violation: string | null = null;
  const loss = attack || random.chance(0.2) ? 0 : random.between(0, 0.35);
  const slowest = attack ? 50 : random.between(10, 800);
  const crashRate = attack || random.chance(0.3) ? 0 : 1 / random.between(300 * size, 3000 * size);
  let cut: (a: number, b: number) => boolean = () => false;
  const decidedBlocks = new Map<number, SimBlock>();
  const accused = new Set<string>();
  const nodes: SimNode[] = [];

  function send(from: number, to: number, message: SimMessage): void {
    if (from === to) return;
    messages += 1;
    let delay = random.between(1, 20);
    if (faulty) {
      if (cut(from, to) || random.chance(loss)) return;
      if (Math.max(aloneUntil[from]!, aloneUntil[to]!) > time.now()) return;
      if (
        message.t === 'vote' &&
        precommitLoss > 0 &&
        message.vote.type === 'precommit' &&
        random.chance(from === favoured ? 0.9 : precommitLoss)
      )
        return;
      delay = random.between(1, slowest);
      if (random.chance(0.02)) delay += random.between(0, 5000);
      if (random.chance(0.03)) time.after(delay * 2, () => nodes[to]!.receive(from, message));
    }
    time.after(delay, () => nodes[to]!.receive(from, message));
  }

  const world = {
    time,
    random,
    params: defaultParams,
    rules,
    validatorsAt,
    size,
    send,
    broadcast(from: number, message: SimMessage) {
      for (let to = 0; to < size; to++) send(from, to, message);
    },
    decided(node: number, block: SimBlock) {
      const known = decidedBlocks.get(block.height);
      if (!known) {
        decidedBlocks.set(block.height, block);
        if (cutsDeciders) aloneUntil[node] = time.now() + random.between(1000, 10_000);
      }
      if (known && keyOf(known.id) !== keyOf(block.id) && !bad.has(node)) {
        violation ??= `two blocks at height ${block.height}: validator ${node} decided another one`;
      }
      if (!block.good && !bad.has(node))
        violation ??= `an invalid block was decided at height ${block.height}`;
    },
    evidence(_node: number, id: ValidatorId) {
      accused.add(keyOf(id));
    },
    point(node: number) {
      if (!faulty || bad.has(node) || !random.chance(crashRate)) return;
      crash(node);
      throw new Crash();
    },
  };

  function crash(node: number): void {
    crashes += 1;
    nodes[node]!.crash(random.below(400));
    time.after(random.between(10, 8000), () => {
      if (!nodes[node]!.up()) nodes[node]!.start();
    });
  }

  for (let i = 0; i < size; i++) {
    const skew = random.chance(0.1) ? random.between(-20_000, 20_000) : random.between(-500, 500);
    nodes.push(
      createSimNode(
        world,
        i,
        ids[i]!,
        size > 3 && i % 4 !== 0 ? random.between(-500, 500) : skew,
        bad.get(i) ?? null,
      ),
    );
  }
  for (const node of nodes) time.after(random.between(0, 300), () => node.start());

  const peersOf = Math.min(size - 1, size <= 10 ? 2 : 3);
  function tellAll(): void {
    for (const node of nodes) {
      if (!node.up()) continue;
      for (let i = 0; i < peersOf; i++) node.tell(random.below(size));
    }
    time.after(tellEvery, tellAll);
  }
  time.after(tellEvery, tellAll);

  /** A new partition, or none, every few seconds; some of them let messages through in one direction only. */
  function repartition(): void {
    if (!faulty) return;
    if (attack || random.chance(0.5)) cut = () => false;
    else {
      const side = nodes.map(() => random.below(2));
      const oneWay = random.chance(0.3);
      cut = (a, b) => side[a] !== side[b] && (!oneWay || side[a] === 0);
    }
    time.after(random.between(500, 10_000), repartition);
  }
  time.after(random.between(500, 5000), repartition);
  function crashSome(): void {
    if (!faulty) return;
    const node = random.below(size);
    if (crashRate > 0 && !bad.has(node) && nodes[node]!.up()) crash(node);
    time.after(random.between(1000, 20_000), crashSome);
  }
  time.after(random.between(1000, 20_000), crashSome);

  const done = (): SimResult => ({
    violation,
    heights: decidedBlocks.size,
    virtualMs: time.now(),
    messages,
    crashes,
    byzantine: bad.size,
    accused: accused.size,
    falselyAccused: [...accused].filter((key) => !bad.has(ids.findIndex((id) => keyOf(id) === key))).length,
  });
  while (violation === null && time.step(faultsFor));
  if (violation !== null) return done();

  faulty = false;
  cut = () => false;
  const honest = nodes.filter(({ place }) => !bad.has(place));
  for (const node of nodes) if (!node.up()) node.start();
  const goal = Math.max(...honest.map((node) => node.height())) + (options.progress ?? 3);
  const end = faultsFor + patience;
  let checks = 0;
  while (violation === null) {
    if (!time.step(end)) {
      const heights = honest.map((node) => {
        const { height, round, step } = node.state();
        return `${height}/${round}/${step}`;
      });
      violation = `no progress to height ${goal} after healing: ${heights.join(' ')}`;
      break;
    }
    if (++checks % 64 === 0 && honest.every((node) => node.height() >= goal)) break;
  }
  return done();
}
