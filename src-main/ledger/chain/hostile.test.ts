import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startRealNode } from '../../exchange/testing/index.ts';
import type { RealNode } from '../../exchange/testing/index.ts';
import type { FrameStream, ProtocolOptions } from '../../network/index.ts';
import { blockId, encodeBlock, proposalSignBytes, validatorIdOf, voteSignBytes } from '../codec/index.ts';
import { validatorOf } from '../modules/validators.ts';
import type { Vote } from '../types.ts';
import {
  addressOfName,
  balanceIn,
  genesisOf,
  openChainNode,
  signerOf,
  tempFolder,
  transfer,
  until,
} from './testing/world.ts';
import type { ChainNode } from './testing/world.ts';
import { decodeSyncRequest, encodePeerMessage, encodeSyncAnswer, maxAnswerBytes } from './wire.ts';
import type { SyncAnswer, SyncRequest } from './wire.ts';

let folder: Awaited<ReturnType<typeof tempFolder>>;
const ends: (() => Promise<void>)[] = [];
const fast = { blockInterval: 100, emptyBlockInterval: 300, propose: 500, prevote: 250, precommit: 250 };
const options: ProtocolOptions = { maxFrame: maxAnswerBytes, maxStreams: 8, idleTimeout: 0, maxRate: 0 };

beforeAll(async () => {
  folder = await tempFolder();
});
afterAll(async () => {
  await Promise.all(ends.map((end) => end()));
  await folder.remove();
});

async function chainNode(change: Parameters<typeof openChainNode>[0] | object): Promise<ChainNode> {
  const full = { consensus: fast, ...change } as Parameters<typeof openChainNode>[0];
  const dir = full.dir ?? path.join(folder.dir, full.name);
  await mkdir(dir, { recursive: true });
  const node = await openChainNode({ ...full, dir });
  ends.push(() => node.stop());
  await node.chain.start();
  return node;
}

async function attacker(name: string, ip: string): Promise<RealNode> {
  const node = await startRealNode(name, ip, { gossip: true });
  ends.push(() => node.stop());
  return node;
}

/** Connected as the attacker sees it, which is a moment later. */
async function reach(node: ChainNode, peer: RealNode): Promise<void> {
  await peer.network.connect(node.node.network.addresses()[0]!);
  await until(
    () => peer.network.peers().some(({ peerId }) => peerId === node.node.network.peerId),
    () => 'a connection',
  );
}

const connected = (node: ChainNode, peer: RealNode): boolean =>
  node.node.network.peers().some(({ peerId }) => peerId === peer.network.peerId);

describe('hostile peers', { timeout: 150_000 }, () => {
  test('garbage, votes and proposals badly signed: dropped in the end, and the chain goes on', async () => {
    const genesis = genesisOf(1, ['ada']);
    const solo = await chainNode({ name: 'target', ip: '127.0.2.2', genesis, consensusKey: 'consensus 0' });
    const bad = await attacker('mallory', '127.0.2.3');
    await bad.network.connect(solo.node.network.addresses()[0]!);
    const { chainId } = solo.chain;
    const speak = (): Promise<FrameStream> =>
      bad.network.open(solo.node.network.peerId, `consensus-${chainId}/1`, options);
    await until(
      () => solo.chain.status().height >= 1,
      () => 'the first block',
    );
    const validator = validatorIdOf(signerOf('consensus 0').publicKey);
    const attempts = [
      (): Uint8Array => new Uint8Array(40).fill(0xa0),
      (height: number): Uint8Array => {
        const vote = { type: 'prevote' as const, height, round: 0, blockId: null };
        const sig = signerOf('mallory').sign(voteSignBytes(chainId, vote));
        return encodePeerMessage({ type: 'votes', votes: [{ ...vote, validator, sig }] });
      },
      (height: number): Uint8Array => {
        const proposal = { height, round: 0, validRound: -1, blockId: new Uint8Array(32).fill(1) };
        const sig = signerOf('mallory').sign(proposalSignBytes(chainId, proposal));
        return encodePeerMessage({
          type: 'proposal',
          proposal: { ...proposal, proposer: validator, sig },
          outline: null,
        });
      },
    ];
    for (let i = 0; i < 40 && connected(solo, bad); i++) {
      try {
        const stream = await speak();
        // The height may pass while it is under way: said for this one and the next.
        for (const ahead of [1, 2]) await stream.send(attempts[i % 3]!(solo.chain.status().height + ahead));
        await new Promise((resolve) => setTimeout(resolve, 30));
        stream.abort(new Error('enough'));
      } catch {
        // Dropped already.
      }
    }
    await until(
      () => !connected(solo, bad),
      () => 'the attacker is dropped',
    );
    await solo.chain.submit(transfer(genesis, 'ada', 0, addressOfName('ben'), 5n));
    await until(
      () => balanceIn(solo.ledger, addressOfName('ben')) === 5n,
      () => 'the chain goes on',
    );
  });

  test('lies while syncing: wrong blocks, heights that do not exist; an honest peer serves', async () => {
    const genesis = genesisOf(1, ['ada']);
    const honest = await chainNode({
      name: 'honest',
      ip: '127.0.2.10',
      genesis,
      consensusKey: 'consensus 0',
    });
    await honest.chain.submit(transfer(genesis, 'ada', 0, addressOfName('ben'), 5n));
    await until(
      () => honest.chain.status().height >= 5,
      () => 'five blocks',
    );
    const { chainId } = honest.chain;
    const liars = await Promise.all(
      ['liar one', 'liar two', 'liar three'].map((name, i) => attacker(name, `127.0.2.${20 + i}`)),
    );
    const lies: ((request: SyncRequest) => SyncAnswer)[] = [
      // Its state root is another one, the certificate is the honest one.
      () => {
        const { block, commit } = honest.ledger.blockAt(1)!;
        const header = { ...block.header, stateRoot: new Uint8Array(32) };
        return {
          type: 'blocks',
          blocks: [
            { block: encodeBlock({ ...block, header }), commit: { ...commit, blockId: blockId(header) } },
          ],
        };
      },
      // The right header, with a transaction left out.
      () => {
        const { block, commit } = honest.ledger.blockAt(1)!;
        return {
          type: 'blocks',
          blocks: [{ block: encodeBlock({ ...block, txs: [new Uint8Array(9)] }), commit }],
        };
      },
      () => ({ type: 'blocks', blocks: [] }),
    ];
    for (const [i, liar] of liars.entries()) {
      liar.network.handle(`consensus-${chainId}/1`, options, async (stream) => {
        while ((await stream.read()) !== null);
      });
      liar.network.handle(`chain-sync-${chainId}/1`, options, async (stream) => {
        const frame = await stream.read();
        if (frame) await stream.send(encodeSyncAnswer(lies[i]!(decodeSyncRequest(frame))));
      });
    }
    const victim = await chainNode({
      name: 'victim',
      ip: '127.0.2.30',
      genesis,
      role: 'full',
      consensusKey: null,
    });
    for (const liar of liars) {
      await reach(victim, liar);
      const stream = await liar.network.open(victim.node.network.peerId, `consensus-${chainId}/1`, options);
      await stream.send(
        encodePeerMessage({ type: 'status', height: 1000, first: 1, blockId: new Uint8Array(32) }),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(victim.chain.status().height).toBe(0);
    await victim.node.network.connect(honest.node.network.addresses()[0]!);
    await until(
      () => victim.chain.status().height >= 5,
      () => String(victim.chain.status().height),
    );
    expect(victim.chain.status().problem).toBeNull();
  });

  test('a copied profile: the second one does not sign', async () => {
    const genesis = genesisOf(4, ['ada']);
    const nodes = await Promise.all(
      [0, 1, 2, 3].map((i) =>
        chainNode({ name: `set ${i}`, ip: `127.0.2.${40 + i}`, genesis, consensusKey: `consensus ${i}` }),
      ),
    );
    for (const [i, one] of nodes.entries())
      for (const other of nodes.slice(i + 1))
        await one.node.network.connect(other.node.network.addresses()[0]!);
    await until(
      () => nodes.every((node) => node.chain.status().height >= 3),
      () => 'three blocks',
    );
    // The same key, without the sign-state of the first: a restored backup, a cloned disk.
    const copy = await chainNode({ name: 'copy', ip: '127.0.2.50', genesis, consensusKey: 'consensus 2' });
    for (const node of nodes) await copy.node.network.connect(node.node.network.addresses()[0]!);
    await until(
      () => copy.chain.status().notVoting === 'profile_copied',
      () => String(copy.chain.status().notVoting),
    );
    expect(copy.chain.status().problem).toMatchObject({ code: 'profile_copied' });
    const at = copy.chain.status().height;
    await until(
      () => nodes[0]!.chain.status().height > at + 3,
      () => 'the chain goes on',
    );
    expect(nodes.map((node) => node.chain.status().problem)).toEqual([null, null, null, null]);
  });

  test('a copied profile of the only validator: the copy hears what is said to the first, whose name it bears', async () => {
    const genesis = genesisOf(1, ['ada']);
    const sole = { name: 'sole', ip: '127.0.2.90', genesis, consensusKey: 'consensus 0' };
    const first = await chainNode(sole);
    const listener = { name: 'listener', ip: '127.0.2.91', genesis, role: 'full', consensusKey: null };
    const follower = await chainNode(listener);
    await first.node.network.connect(follower.node.network.addresses()[0]!);
    const reaches = (height: number): Promise<void> =>
      until(
        () => follower.chain.status().height >= height,
        () => `${follower.chain.status().height} of ${height}`,
      );
    await reaches(3);
    await first.stop();
    const dir = path.join(folder.dir, 'sole, copied');
    await cp(path.join(folder.dir, 'sole'), dir, { recursive: true });
    const again = await chainNode(sole);
    await again.node.network.connect(follower.node.network.addresses()[0]!);
    await reaches(follower.chain.status().height + 3);
    const copy = await chainNode({ ...sole, ip: '127.0.2.92', dir });
    await copy.node.network.connect(follower.node.network.addresses()[0]!);
    await until(
      () => copy.chain.status().notVoting === 'profile_copied',
      () => `${copy.chain.status().notVoting} at ${copy.chain.status().height}`,
    );
    await reaches(copy.chain.status().height + 2);
    for (const node of [again, copy]) {
      const { height } = copy.chain.status();
      expect(node.ledger.signedHeaderAt(height)).toEqual(follower.ledger.signedHeaderAt(height));
    }
  });

  test('two votes of one validator become evidence in a block, and it is punished', async () => {
    const genesis = genesisOf(4, ['ada']);
    // The fourth is played by the attacker.
    const nodes = await Promise.all(
      [0, 1, 2].map((i) =>
        chainNode({ name: `judge ${i}`, ip: `127.0.2.${60 + i}`, genesis, consensusKey: `consensus ${i}` }),
      ),
    );
    for (const [i, one] of nodes.entries())
      for (const other of nodes.slice(i + 1))
        await one.node.network.connect(other.node.network.addresses()[0]!);
    const { chainId } = nodes[0]!.chain;
    const bad = await attacker('double', '127.0.2.70');
    await bad.network.connect(nodes[0]!.node.network.addresses()[0]!);
    await until(
      () => nodes.every((node) => node.chain.status().height >= 2),
      () => 'two blocks',
    );
    const signer = signerOf('consensus 3');
    const id = validatorIdOf(signer.publicKey);
    const stream = await bad.network.open(nodes[0]!.node.network.peerId, `consensus-${chainId}/1`, options);
    const punished = (): boolean =>
      nodes.every((node) => node.ledger.validators().next.every((one) => Buffer.compare(one.id, id) !== 0));
    const end = Date.now() + 50_000;
    while (!punished() && Date.now() < end) {
      const height = nodes[0]!.chain.status().height + 1;
      const votes = [null, new Uint8Array(32).fill(3)].map((block): Vote => {
        const vote = { type: 'prevote' as const, height, round: 0, blockId: block };
        return { ...vote, validator: id, sig: signer.sign(voteSignBytes(chainId, vote)) };
      });
      await stream.send(encodePeerMessage({ type: 'votes', votes }));
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(punished()).toBe(true);
  });

  test('a light node that is shown another block brings it to the validators, and the signer is punished', async () => {
    const genesis = genesisOf(1, ['ada']);
    const court = await chainNode({ name: 'court', ip: '127.0.2.90', genesis, consensusKey: 'consensus 0' });
    const { chainId } = court.chain;
    const light = await chainNode({
      name: 'misled',
      ip: '127.0.2.91',
      genesis,
      role: 'light',
      consensusKey: null,
    });
    await light.node.network.connect(court.node.network.addresses()[0]!);
    await until(
      () => light.chain.status().height >= 2,
      () => 'the light node follows',
    );
    const forger = await attacker('forger', '127.0.2.92');
    const signer = signerOf('consensus 0');
    /** The newest block with another past, signed like the real one. */
    function forged(): SyncAnswer {
      const { height } = court.ledger.last();
      const { header } = court.ledger.signedHeaderAt(height)!;
      const other = { ...header, historyRoot: new Uint8Array(32).fill(7) };
      const vote = { type: 'precommit' as const, height, round: 0, blockId: blockId(other) };
      const signature = {
        validator: validatorIdOf(signer.publicKey),
        sig: signer.sign(voteSignBytes(chainId, vote)),
      };
      return {
        type: 'light',
        block: {
          signed: {
            header: other,
            commit: { height, round: 0, blockId: vote.blockId, signatures: [signature] },
          },
          validators: court.ledger.validatorsAt(height)!,
        },
      };
    }
    forger.network.handle(`chain-sync-${chainId}/1`, options, async (stream) => {
      const frame = await stream.read();
      if (!frame || decodeSyncRequest(frame).type !== 'light') return stream.abort(new Error('no'));
      await until(
        () => court.ledger.last().height > light.chain.status().height,
        () => 'a newer block',
      );
      await stream.send(encodeSyncAnswer(forged()));
    });
    forger.network.handle(`consensus-${chainId}/1`, options, async (stream) => {
      while ((await stream.read()) !== null);
    });
    await reach(light, forger);
    const speak = await forger.network.open(light.node.network.peerId, `consensus-${chainId}/1`, options);
    await speak.send(
      encodePeerMessage({ type: 'status', height: 100_000, first: 1, blockId: new Uint8Array(32) }),
    );
    await until(
      () => light.chain.status().problem?.code === 'light_attack',
      () => String(light.chain.status().problem?.code),
    );
    const operator = addressOfName('validator 0');
    await until(
      () => validatorOf(court.ledger.state, operator).tombstoned,
      () => 'the validator is punished',
    );
    // With nobody else to elect the chain goes on, so that people can act.
    const at = court.chain.status().height;
    await until(
      () => court.chain.status().height > at + 2,
      () => 'the chain goes on',
    );
  });

  test('a new node begins with a snapshot, and a lying one is refused', async () => {
    const genesis = genesisOf(1, ['ada']);
    const snapshots = { every: 4, keep: 50 };
    const source = await chainNode({
      name: 'source',
      ip: '127.0.2.80',
      genesis,
      consensusKey: 'consensus 0',
      snapshots,
    });
    await source.chain.submit(transfer(genesis, 'ada', 0, addressOfName('ben'), 5n));
    await until(
      () => source.machine!.snapshots().length === 2,
      () => 'two snapshots',
    );
    const liar = await attacker('snap liar', '127.0.2.81');
    const { chainId } = source.chain;
    liar.network.handle(`consensus-${chainId}/1`, options, async (stream) => {
      while ((await stream.read()) !== null);
    });
    liar.network.handle(`chain-sync-${chainId}/1`, options, async (stream) => {
      const frame = await stream.read();
      if (!frame) return;
      const request = decodeSyncRequest(frame);
      const answer: SyncAnswer =
        request.type === 'snapshots'
          ? { type: 'snapshots', snapshots: source.machine!.snapshots() }
          : request.type === 'chunk'
            ? { type: 'chunk', chunk: new Uint8Array(100) }
            : request.type === 'light'
              ? {
                  type: 'light',
                  block: {
                    signed: source.ledger.signedHeaderAt(request.height)!,
                    validators: source.ledger.validatorsAt(request.height)!,
                  },
                }
              : { type: 'blocks', blocks: [] };
      await stream.send(encodeSyncAnswer(answer));
    });
    const joiner = await chainNode({
      name: 'joiner',
      ip: '127.0.2.82',
      genesis,
      role: 'full',
      consensusKey: null,
      more: { snapshotFrom: 4 },
    });
    await reach(joiner, liar);
    const stream = await liar.network.open(joiner.node.network.peerId, `consensus-${chainId}/1`, options);
    await stream.send(
      encodePeerMessage({ type: 'status', height: 8, first: 1, blockId: new Uint8Array(32) }),
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(joiner.chain.status().height).toBe(0);
    await joiner.node.network.connect(source.node.network.addresses()[0]!);
    const height = source.chain.status().height;
    await until(
      () => joiner.chain.status().height >= height,
      () => JSON.stringify(joiner.chain.status().problem),
    );
    // The first block never came here: it began with the snapshot.
    expect(joiner.ledger.blockAt(1)).toBeNull();
    expect(balanceIn(joiner.ledger, addressOfName('ben'))).toBe(5n);
  });
});
