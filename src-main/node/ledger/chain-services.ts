import pLimit from 'p-limit';
import type { ChainBlock, ChainStatus, ChainValidator } from '../../../src-shared/contract/index.ts';
import { formatAmount } from '../../../src-shared/amount.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { NodeServices } from '../../api/index.ts';
import { hashOfUserId, userIdOfHash } from '../../identity/index.ts';
import type { UserId } from '../../identity/index.ts';
import { blockId, decodeManifest, sameBytes, validatorsView } from '../../ledger/index.ts';
import type { FoundBlock, RoundView } from '../../ledger/index.ts';
import type { Chains, OpenChain } from './chains.ts';
import { hex, iso } from './shown.ts';
import { ledgerOf } from './wallet.ts';

const shownRound = (view: RoundView): NonNullable<ChainStatus['consensus']> => ({
  height: view.height,
  proposer: hex(view.proposer),
  proposal: view.proposal !== null,
  prevotes: view.prevotes.toString(),
  precommits: view.precommits.toString(),
  total: view.total.toString(),
  lockedRound: view.lockedRound,
});

/**
 * @param chains throws while the keystore is locked
 * @param lightAbove the setting `ledger.fullBytes`
 */
export function createChainServices(
  chains: () => Chains,
  lightAbove: () => number | null,
): Pick<NodeServices, 'chain'> {
  async function validatorsOfChain(open: OpenChain): Promise<ChainValidator[]> {
    const all = await open.reader.read(({ state }) => validatorsView(state), 'validators');
    const active = new Map(open.chain.validators().map((one) => [hex(one.id), one.power]));
    const { decimals } = open.genesis.tokens[0]!.spec;
    const ownKey = open.validatorKey.publicKey;
    return all.map((one) => {
      const id = hex(one.id);
      return {
        userId: userIdOfHash(one.operator),
        validator: id,
        name: one.name,
        power: (active.get(id) ?? 0n).toString(),
        jailed: one.jailed,
        tombstoned: one.tombstoned,
        commission: one.commissionBp,
        active: active.has(id),
        bonded: formatAmount(one.tokens, decimals),
        own: sameBytes(one.key, ownKey),
      };
    });
  }

  function statusOf(open: OpenChain): ChainStatus {
    const { chain, record, ledger } = open;
    const status = chain.status();
    const last = ledger?.last();
    const validators = chain.validators();
    return {
      chainId: record.chainId,
      name: record.name,
      height: last?.height ?? status.height,
      hash: hex(last?.blockId ?? status.blockId),
      stateRoot: hex(last?.stateRoot ?? open.newest()?.stateRoot ?? new Uint8Array(32)),
      time: iso(last?.time ?? status.time),
      validators: validators.length,
      power: validators.reduce((sum, one) => sum + one.power, 0n).toString(),
      peers: status.peers,
      witnesses: record.role === 'light' ? status.witnesses : null,
      role: record.role,
      auto: record.auto,
      bytes: ledger?.bytes() ?? null,
      lightAbove: record.auto ? lightAbove() : null,
      lightened: record.lightened && {
        time: iso(record.lightened.time),
        bytes: record.lightened.bytes,
      },
      active: record.active,
      syncing: status.sync === 'blocks' || status.sync === 'snapshot',
      round: status.consensus?.round ?? 0,
      step: status.consensus?.step ?? status.sync,
      consensus: status.consensus && shownRound(status.consensus),
      mempool: status.mempool.count,
      problem: status.problem?.code ?? null,
      link: chains().linkOf(open),
    };
  }

  function shownBlock({ block, commit, results }: FoundBlock): ChainBlock {
    const { header } = block;
    return {
      height: header.height,
      hash: hex(blockId(header)),
      stateRoot: hex(header.stateRoot),
      time: iso(header.time),
      proposer: hex(header.proposer),
      round: commit.round,
      signatures: commit.signatures.length,
      txs: results.map((one) => ({ hash: hex(one.hash), ok: one.ok, code: one.code })),
    };
  }

  async function blockOf(open: OpenChain, height: number): Promise<ChainBlock | null> {
    const found = await open.reader.block(height);
    return found && shownBlock(found);
  }

  return {
    chain: {
      async create({ name, genesis, continues }) {
        const open = await chains().create(
          name,
          genesis,
          continues === undefined
            ? null
            : {
                chainId: continues.chain,
                operators: continues.validators.map((user) => hashOfUserId(user as UserId)),
                newKey: continues.newKey,
              },
        );
        return { chainId: open.record.chainId, link: chains().linkOf(open) };
      },
      async join({ link, light }, signal) {
        const open = await chains().join(link, light ? 'light' : 'full', signal);
        return { chainId: open.record.chainId };
      },
      inLink: ({ link }) => chains().inLink(link),
      list: () => chains().list().map(statusOf),
      use: async ({ chainId }) => statusOf(await chains().activate(chainId)),
      async leave({ chainId }) {
        await chains().leave(chainId);
        return { ok: true };
      },
      status: async ({ chain }) => statusOf(await chains().get(chain)),
      async wait({ chain, height }, signal) {
        const open = await chains().get(chain);
        await open.chain.waitFor(height, signal);
        return statusOf(open);
      },
      verify: async ({ chain }, signal) => chains().verify(await chains().get(chain), signal),
      async snapshot({ chain }) {
        const state = ledgerOf(await chains().get(chain));
        const { height, manifest } = await state.takeSnapshot();
        const { chunks } = decodeManifest(manifest);
        return {
          height,
          root: hex(state.signedHeaderAt(height)!.header.stateRoot),
          chunks: chunks.length,
          bytes: chunks.reduce((sum, one) => sum + one.bytes, 0),
        };
      },
      role: async ({ chain, role }) => statusOf(await chains().setRole(chain, role)),
      validators: async ({ chain }) => validatorsOfChain(await chains().get(chain)),
      async block({ chain, height }) {
        const found = await blockOf(await chains().get(chain), height);
        if (found) return found;
        throw new AppError('not_found', `There is no block ${height} here.`);
      },
      async blocks({ chain, before, limit }) {
        const open = await chains().get(chain);
        const newest = open.chain.status().height;
        const from = Math.min(before ?? newest + 1, newest + 1) - 1;
        const heights = Array.from({ length: Math.max(0, Math.min(limit, from)) }, (_, i) => from - i);
        // A light node asks others for each: some at a time.
        const some = pLimit(8);
        const all = await Promise.all(heights.map((height) => some(() => blockOf(open, height))));
        const end = all.indexOf(null);
        const found = all.slice(0, end < 0 ? undefined : end) as ChainBlock[];
        return found;
      },
    },
  };
}
