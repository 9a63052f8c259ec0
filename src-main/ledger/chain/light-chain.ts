import path from 'node:path';
import { createEmitter } from '../../../src-shared/emitter.ts';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { decodeTx, sameBytes } from '../codec/index.ts';
import { isAttack, trustedFrom, verifyOld, verifyTo } from '../light/index.ts';
import type { LightBlock, Trusted } from '../light/index.ts';
import { openLightStore } from '../light/store.ts';
import type { Evidence, SignedHeader, TxInfo } from '../types.ts';
import { createPeerHeights } from './peer-heights.ts';
import { createPeerStreams } from './peer-streams.ts';
import { askLight, rulesOf, trustedCheckpoint, trustedGenesis } from './state-sync.ts';
import { createSyncClient } from './sync-client.ts';
import type { Chain, ChainDeps, ChainEvents, ChainOptions, ChainStatus, SyncState } from './types.ts';
import { waitForHeight } from './wait-for-height.ts';

/** ms */
const lookEvery = 500;
/** Other peers asked whether they have the same header. */
const wantedWitnesses = 2;

/**
 * Two blocks of one height as evidence. Which of them is the chain's this node can't know: whoever keeps the chain takes the one
 * that is not, and puts the proof to it.
 */
function bothWays(a: LightBlock, b: LightBlock): readonly Evidence[] {
  const against = (fake: LightBlock, actual: LightBlock): Evidence => {
    const { height } = fake.signed.header;
    const path = { height, size: height, path: [], peaks: [] };
    return { type: 'lightAttack', ...fake.signed, actual: actual.signed.header, path };
  };
  return [against(a, b), against(b, a)];
}

/** A chain of which only headers are followed: role `light`. */
export async function createLightChain(deps: ChainDeps, options: ChainOptions): Promise<Chain> {
  const { network, clock, logger, genesis } = deps;
  const { chainId } = genesis;
  const emitter = createEmitter<ChainEvents>((error) => {
    logger.error({ error: String(error) }, 'a listener of the chain failed');
  });
  const store = openLightStore(path.join(options.dir, 'light.db'));
  const heights = createPeerHeights(() => clock.now());
  const client = createSyncClient(network, `chain-sync-${chainId}/1`);
  const stopper = new AbortController();
  const cancels = new Set<() => void>();
  let running = false;
  let looking = false;
  let head: LightBlock | null = store.newest();
  const { trusted: known } = options;
  if (known && known.signed.header.height > (head?.signed.header.height ?? 0)) {
    store.add(known);
    head = known;
  }
  let sync: SyncState = 'alone';
  let witnesses = 0;
  /** How the newest header was verified, for witnesses that get their block later than it was asked for. */
  let compared: {
    readonly trusted: Trusted;
    readonly verified: LightBlock;
    readonly primary: string;
  } | null = null;
  let problem: ChainStatus['problem'] = null;

  const streams = createPeerStreams({
    network,
    protocol: `consensus-${chainId}/1`,
    logger,
    hello: () => ({
      type: 'status',
      height: 0,
      first: 0,
      blockId: head?.signed.commit.blockId ?? genesis.hash,
    }),
    onMessage(peer, message) {
      if (message.type !== 'status') return;
      heights.set(peer, message.height, message.first);
      look();
    },
    onPeer(peer, here) {
      if (!here) heights.remove(peer);
    },
  });

  const height = (): number => head?.signed.header.height ?? 0;

  function setSync(state: SyncState): void {
    if (sync === state) return;
    sync = state;
    emitter.emit('sync', { state, height: height(), target: heights.highest() });
  }

  function fail(error: AppError): void {
    if (problem?.code === error.code) return;
    problem = { code: error.code, message: error.message };
    if (error.code === 'light_attack') setSync('halted');
    emitter.emit('problem', problem);
  }

  function look(): void {
    if (!running || looking || sync === 'halted') return;
    if (!heights.known()) return setSync('alone');
    if (heights.highest() <= height()) {
      setSync('following');
      return askLateWitnesses();
    }
    looking = true;
    void follow().finally(() => {
      looking = false;
    });
  }

  /** Compares the newest header again when more peers have it than could be asked: the first to tell of a block is often alone. */
  function askLateWitnesses(): void {
    if (!compared || witnesses >= wantedWitnesses) return;
    const { trusted, verified, primary } = compared;
    const others = heights.having(verified.signed.header.height).filter((peer) => peer !== primary);
    if (others.length <= witnesses) return;
    looking = true;
    void compare(trusted, verified, primary)
      .catch((error: unknown) => {
        if (isAppError(error, 'light_attack')) fail(error);
        else if (!stopper.signal.aborted)
          logger.debug({ error: String(error) }, 'witnesses were not compared');
      })
      .finally(() => {
        looking = false;
        if (heights.highest() > height()) look();
      });
  }

  async function trustedNow(peer: string): Promise<Trusted> {
    const { checkpoint } = options;
    if (checkpoint && checkpoint.height > height()) {
      return trustedCheckpoint(client, peer, checkpoint, stopper.signal);
    }
    return head ? trustedFrom(head) : trustedGenesis(genesis);
  }

  async function follow(): Promise<void> {
    for (const peer of heights.having(heights.highest())) {
      if (stopper.signal.aborted) return;
      heights.asked(peer);
      try {
        const trusted = await trustedNow(peer);
        const target = await askLight(client, peer, 0, stopper.signal);
        if (target.signed.header.height <= trusted.height) {
          heights.distrust(peer);
          continue;
        }
        const verified = await verifyTo(
          trusted,
          target,
          (at) => askLight(client, peer, at, stopper.signal),
          rulesOf(genesis, clock.now()),
        );
        await compare(trusted, target, peer);
        compared = { trusted, verified: target, primary: peer };
        for (const block of verified) store.add(block);
        head = target;
        problem = null;
        setSync('following');
        emitter.emit('block', {
          height: height(),
          header: target.signed.header,
          blockId: target.signed.commit.blockId,
          txs: null,
        });
        return;
      } catch (error) {
        if (stopper.signal.aborted) return;
        if (!isAppError(error)) throw error;
        if (error.code === 'trust_expired' || error.code === 'light_attack') return fail(error);
        if (['header_invalid', 'commit_invalid', 'bad_signature'].includes(error.code)) {
          network.penalise(peer, `header: ${error.message}`);
        }
        heights.distrust(peer);
        logger.debug({ peer, error: String(error) }, 'no header from a peer');
      }
    }
  }

  /** Asks others for the same height. Whoever shows another, validly signed one proves that two thirds lied to one of us. */
  async function compare(trusted: Trusted, verified: LightBlock, primary: string): Promise<void> {
    const at = verified.signed.header.height;
    let agree = 0;
    for (const peer of heights.having(at)) {
      if (peer === primary || agree >= wantedWitnesses) continue;
      try {
        const other = await askLight(client, peer, at, stopper.signal);
        if (sameBytes(other.signed.commit.blockId, verified.signed.commit.blockId)) agree += 1;
        else if (isAttack(trusted, verified, other, rulesOf(genesis, clock.now()))) {
          streams.broadcast({ type: 'evidence', evidence: bothWays(verified, other) });
          throw new AppError(
            'light_attack',
            `Two different blocks ${at} are both signed by the validators of this network. Nothing of it can be trusted until people have looked.`,
          );
        } else network.penalise(peer, 'a header that does not hold');
      } catch (error) {
        if (stopper.signal.aborted || isAppError(error, 'light_attack')) throw error;
        logger.debug({ peer, error: String(error) }, 'a witness did not answer');
      }
    }
    witnesses = agree;
  }

  async function header(at: number, signal?: AbortSignal): Promise<SignedHeader> {
    const kept = store.get(at);
    if (kept) return kept.signed;
    if (!head || at > height()) throw new AppError('not_found', `There is no block ${at} yet.`);
    const top = head;
    for (const peer of heights.having(height())) {
      try {
        const { signed, proof } = await client.ask(
          peer,
          { type: 'old', height: at, under: top.signed.header.height },
          signal,
        );
        if (!signed || !proof) continue;
        verifyOld(top.signed, signed, proof);
        return signed;
      } catch (error) {
        if (signal?.aborted) throw error;
        if (isAppError(error, 'header_invalid')) network.penalise(peer, error.message);
      }
    }
    throw new AppError('unreachable', `Nobody who has block ${at} can be reached now.`);
  }

  async function submit(tx: Uint8Array): Promise<TxInfo> {
    const { hash, body, bytes } = decodeTx(tx);
    let refused: AppError | null = null;
    for (const peer of heights.having(height())) {
      try {
        const answer = await client.ask(peer, { type: 'submit', tx });
        if (answer.ok || answer.code === 'tx_known') {
          return {
            hash,
            sender: body.sender,
            nonce: body.nonce,
            committedNonce: body.nonce,
            validUntil: body.validUntil,
            feeRate: 0n,
            dues: [],
            bytes: bytes.length,
          };
        }
        refused = new AppError(answer.code as never, answer.message);
      } catch (error) {
        logger.debug({ peer, error: String(error) }, 'a transaction was not taken by a peer');
      }
    }
    throw refused ?? new AppError('unreachable', 'Nobody who follows this network can be reached now.');
  }

  return {
    chainId,
    on: emitter.on,
    async start() {
      if (running) return;
      running = true;
      for (const { peerId, hints } of options.peers ?? []) network.want(peerId, hints);
      streams.start();
      const again = (): void => {
        const cancel = clock.after(lookEvery, () => {
          cancels.delete(cancel);
          if (!running) return;
          look();
          again();
        });
        cancels.add(cancel);
      };
      again();
      look();
    },
    async stop() {
      if (stopper.signal.aborted) return;
      stopper.abort();
      if (!running) return store.close();
      running = false;
      for (const cancel of cancels) cancel();
      for (const { peerId } of options.peers ?? []) network.unwant(peerId);
      streams.stop();
      store.close();
    },
    status: () => ({
      chainId,
      role: 'light',
      height: height(),
      blockId: head?.signed.commit.blockId ?? genesis.hash,
      time: head?.signed.header.time ?? genesis.time,
      sync,
      peerHeight: heights.highest(),
      peers: streams.peers().length,
      voting: false,
      notVoting: 'not_validator',
      consensus: null,
      mempool: { count: 0, bytes: 0 },
      witnesses,
      problem,
    }),
    validators: () => head?.validators ?? genesis.validators,
    header,
    submit,
    nextNonce: async (_sender, committed) => committed,
    waiting: async () => null,
    waitingAll: async () => [],
    waitFor: (at, signal) => waitForHeight(emitter, height, at, signal, stopper.signal),
    async setRole(next) {
      if (next === 'light') return;
      throw new AppError('invalid_argument', 'To check every block, stop this chain and follow it anew.');
    },
    peers: () => heights.all(),
  };
}
