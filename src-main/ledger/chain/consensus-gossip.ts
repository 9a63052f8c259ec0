import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import type { Topic, TopicVerdict } from '../../network/index.ts';
import { txHash } from '../codec/index.ts';
import { haveOf, missingFor, proposerAt } from '../consensus/index.ts';
import { equalIds } from '../consensus/validator-index.ts';
import type { Application, Block, Evidence, Hash, Proposal, Validator, Vote } from '../types.ts';
import { isNamed, bodyFits } from './block-checks.ts';
import type { Driver } from './driver.ts';
import type { PeerStreams } from './peer-streams.ts';
import type { SyncClient } from './sync-client.ts';
import { createVoteChecker } from './verify-votes.ts';
import { decodeBlock, decodePeerMessage, encodePeerMessage, maxGossipBytes, outlineOf } from './wire.ts';
import type { BlockOutline, PeerMessage } from './wire.ts';
import type { ChainNetwork } from './types.ts';

export interface ConsensusGossipDeps {
  readonly network: ChainNetwork;
  readonly chainId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly application: Application;
  readonly driver: Driver;
  readonly streams: PeerStreams;
  readonly client: SyncClient;
  /** A transaction of the mempool. */
  readonly tx: (hash: Hash) => Uint8Array | null;
  readonly onEvidence: (evidence: Evidence) => boolean;
  /** A vote with the key of this node that it did not cast. */
  readonly onOwnVote: (vote: Vote) => void;
  readonly own: Uint8Array | null;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Proposals, votes, bodies: out to the peers, and in with every signature checked. */
export interface ConsensusGossip {
  start(): void;
  stop(): void;
  sendVote(vote: Vote): void;
  sendProposal(proposal: Proposal, block: Block | null): void;
  sendEvidence(evidence: Evidence): void;
  /** A message of a direct stream other than `status`. */
  receive(peer: string, message: PeerMessage): Promise<TopicVerdict>;
  fetch(blockId: Hash): void;
}

/** ms between exchanges of what each has, with one peer after another. */
const tellEvery = 200;
/** Votes wait so long for others to go with them by gossip; peers with a stream have them already. ms */
const gossipEvery = 100;
/** Votes in one message. */
const perMessage = 256;
const fetchTries = 4;

export function createConsensusGossip(deps: ConsensusGossipDeps): ConsensusGossip {
  const { driver, streams, application, clock, network } = deps;
  const checker = createVoteChecker(deps.chainId);
  let topic: Topic | null = null;
  let waiting: Vote[] = [];
  let cancelTell: (() => void) | null = null;
  let cancelGossip: (() => void) | null = null;
  const fetching = new Set<string>();
  /** Of blocks of the next height, by id: their proposals came before this node was there. */
  const early = new Map<string, { peer: string; outline: BlockOutline }>();
  let stopped = false;

  function memberAt(height: number, id: Uint8Array): Validator | null {
    const state = driver.state();
    const set =
      height === state.height
        ? state.index.set
        : height === state.height + 1
          ? application.validators().next
          : height === state.height - 1
            ? (state.start.last?.validators ?? [])
            : [];
    return set.find((one) => equalIds(one.id, id)) ?? null;
  }

  const inReach = (height: number): boolean => {
    const { height: current } = driver.state();
    return height >= current - 1 && height <= current + 1;
  };

  async function takeVotes(peer: string, votes: readonly Vote[]): Promise<TopicVerdict> {
    const near = votes.filter((vote) => inReach(vote.height));
    if (near.length === 0) return 'ignore';
    const list = near.flatMap((vote) => {
      const validator = memberAt(vote.height, vote.validator);
      return validator ? [{ vote, validator }] : [];
    });
    const { good, bad } = await checker.votes(list);
    if (stopped || !driver.running()) return 'ignore';
    for (const vote of good) {
      if (deps.own && equalIds(vote.validator, deps.own)) deps.onOwnVote(vote);
      driver.vote(vote);
    }
    if (bad === 0) return good.length > 0 ? 'accept' : 'ignore';
    network.penalise(peer, 'a vote with a wrong signature');
    return 'reject';
  }

  function takeProposal(peer: string, proposal: Proposal, outline: BlockOutline | null): TopicVerdict {
    const state = driver.state();
    if (!inReach(proposal.height) || proposal.height < state.height) return 'ignore';
    const validator = memberAt(proposal.height, proposal.proposer);
    if (!validator) return 'ignore';
    if (!checker.proposal(proposal, validator)) {
      network.penalise(peer, 'a proposal with a wrong signature');
      return 'reject';
    }
    const turn =
      proposal.height > state.height || equalIds(proposerAt(state, proposal.round), proposal.proposer);
    if (outline && !isNamed(outline.header, proposal.blockId)) {
      network.penalise(peer, 'a proposal with another block');
      return 'reject';
    }
    driver.proposal(proposal);
    if (outline && turn && proposal.height === state.height) void assemble(peer, outline);
    else if (outline && proposal.height > state.height) {
      if (early.size >= 4) early.clear();
      early.set(Buffer.from(proposal.blockId).toString('latin1'), { peer, outline });
    }
    return 'accept';
  }

  /** Puts a block together out of the mempool; what is missing there comes from who sent the outline. */
  async function assemble(peer: string, outline: BlockOutline): Promise<void> {
    const { header, lastCommit, evidence } = outline;
    const txs = outline.txs.map((hash) => deps.tx(hash));
    const missing = outline.txs.filter((_hash, i) => txs[i] === null);
    if (missing.length > 0) {
      try {
        const answer = await deps.client.ask(peer, { type: 'txs', hashes: missing });
        const got = new Map(answer.txs.map((tx) => [Buffer.from(txHash(tx)).toString('latin1'), tx]));
        for (const [i, hash] of outline.txs.entries()) {
          txs[i] ??= got.get(Buffer.from(hash).toString('latin1')) ?? null;
        }
      } catch (error) {
        deps.logger.debug({ peer, error: String(error) }, 'transactions of a proposal did not come');
      }
    }
    if (stopped || txs.includes(null)) return;
    takeBody(peer, { header, lastCommit, evidence, txs: txs as Uint8Array[] });
  }

  function takeBody(peer: string, block: Block): void {
    if (!driver.running() || block.header.height !== driver.state().height) return;
    if (!bodyFits(block)) return network.penalise(peer, 'a block with parts that are not its own');
    driver.body(block);
  }

  async function fetch(blockId: Hash): Promise<void> {
    const key = Buffer.from(blockId).toString('latin1');
    if (fetching.has(key)) return;
    fetching.add(key);
    const known = early.get(key);
    early.delete(key);
    try {
      if (known) await assemble(known.peer, known.outline);
      // The outline is on its way to most: asked at once, all would be sent everything twice.
      for (let i = 0; i < fetchTries * 3; i++) {
        await new Promise<void>((resolve) => void clock.after(i === 0 ? 60 : 150, resolve));
        if (stopped || !driver.running() || driver.bodyOf(blockId)) return;
        const state = driver.state().blocks.get(Buffer.from(blockId).toString('hex'));
        if (state?.status !== 'asked') return;
        const peers = streams.peers();
        const peer = peers[Math.floor(deps.random() * peers.length)];
        if (peer === undefined) continue;
        try {
          const { block } = await deps.client.ask(peer, { type: 'body', blockId });
          if (!block) continue;
          const decoded = decodeBlock(block);
          if (!isNamed(decoded.header, blockId)) network.penalise(peer, 'another block than was asked for');
          else takeBody(peer, decoded);
        } catch (error) {
          deps.logger.debug({ peer, error: String(error) }, 'a block did not come');
        }
      }
    } finally {
      fetching.delete(key);
    }
  }

  function tell(): void {
    cancelTell = clock.after(tellEvery, tell);
    if (!driver.running()) return;
    const { step } = driver.state();
    // Nothing is under way: nothing can be missing.
    if (step === 'idle') return;
    const peers = streams.peers();
    const peer = peers[Math.floor(deps.random() * peers.length)];
    if (peer !== undefined) streams.send(peer, { type: 'have', have: haveOf(driver.state()) });
  }

  function flushGossip(): void {
    cancelGossip = null;
    if (waiting.length === 0 || !topic) return;
    const votes = waiting;
    waiting = [];
    void topic.publish(encodePeerMessage({ type: 'votes', votes }));
  }

  return {
    start() {
      topic = network.topic(`${deps.chainId}/votes/1`, {
        maxBytes: maxGossipBytes,
        async validate(from, data) {
          let message: PeerMessage;
          try {
            message = decodePeerMessage(data);
          } catch {
            return 'reject';
          }
          if (message.type === 'have' || message.type === 'status') return 'reject';
          return receive(from, message);
        },
      });
      tell();
    },
    stop() {
      stopped = true;
      cancelTell?.();
      cancelGossip?.();
      topic?.leave();
    },
    sendVote(vote) {
      streams.broadcast({ type: 'votes', votes: [vote] });
      waiting.push(vote);
      cancelGossip ??= clock.after(gossipEvery, flushGossip);
    },
    sendProposal(proposal, block) {
      const outline = block && outlineOf(block, txHash);
      streams.broadcast({ type: 'proposal', proposal, outline });
      void topic?.publish(encodePeerMessage({ type: 'proposal', proposal, outline }));
    },
    sendEvidence(evidence) {
      streams.broadcast({ type: 'evidence', evidence: [evidence] });
    },
    receive,
    fetch: (blockId) => void fetch(blockId),
  };

  async function receive(peer: string, message: PeerMessage): Promise<TopicVerdict> {
    if (stopped || !driver.running()) return 'ignore';
    switch (message.type) {
      case 'status':
        return 'ignore';
      case 'votes':
        return takeVotes(peer, message.votes);
      case 'proposal':
        return takeProposal(peer, message.proposal, message.outline);
      case 'evidence': {
        const fresh = message.evidence.filter((one) => deps.onEvidence(one));
        for (const one of fresh) streams.broadcast({ type: 'evidence', evidence: [one] });
        return fresh.length > 0 ? 'accept' : 'ignore';
      }
      case 'have': {
        const missing = missingFor(driver.state(), message.have);
        for (const proposal of missing.proposals) {
          const block = driver.bodyOf(proposal.blockId);
          streams.send(peer, { type: 'proposal', proposal, outline: block && outlineOf(block, txHash) });
        }
        for (let at = 0; at < missing.votes.length; at += perMessage) {
          streams.send(peer, { type: 'votes', votes: missing.votes.slice(at, at + perMessage) });
        }
        return 'ignore';
      }
    }
  }
}
