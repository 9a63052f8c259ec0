import { parseAmount } from '../../../src-shared/amount.ts';
import type { LeafProof } from '../../history/index.ts';
import type { Asks } from '../../hosting/index.ts';
import { contentOf, contractView, leavesOf, message, periodOf } from '../../ledger/index.ts';
import type { Content, ContentOpening, WireMessage } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import type { OpenChain } from './chains.ts';

/*
 * Drives of others that this node is paid for: contracts that a drive's keeper named are checked against what is really here, taken, and
 * proven like any other copy.
 */

export interface PaidHosts {
  /** What this computer wants on the active network. */
  asks(): Asks | null;
  /** Takes a contract that was named; null: there is none to take. */
  chore(open: OpenChain, me: Uint8Array): Promise<WireMessage | null>;
  /** Shows a leaf of a contract's content; null: it is not kept as a drive, or the leaf is lost. */
  open(chain: string, contract: number, leaf: number): Promise<ContentOpening | null>;
}

/** Contents whose lists of blocks stay in memory: each may take some MB. */
const remembered = 8;
/** What is named and stands on no ledger is forgotten after this time, ms. */
const forgetMs = 86_400_000;

export function createPaidHosts(node: Online, current: () => OpenChain | null): PaidHosts {
  const { hosting, settings, clock, logger } = node;
  const contents = new Map<string, Content>();

  const decimals = (open: OpenChain): number => open.genesis.tokens[0]!.spec.decimals;

  async function contentFor(chain: string, contract: number): Promise<Content | null> {
    const key = `${chain} ${contract}`;
    let content = contents.get(key);
    if (!content) {
      const blocks = await hosting.paid().blocks(chain, contract);
      if (blocks === null) return null;
      content = contentOf(blocks.map(({ root, size }) => ({ root, bytes: size })));
      contents.set(key, content);
      if (contents.size > remembered) contents.delete(contents.keys().next().value!);
    }
    return content;
  }

  async function end(chain: string, contract: number, why: string): Promise<void> {
    logger.info({ contract, why }, 'a paid contract is kept no longer');
    contents.delete(`${chain} ${contract}`);
    await hosting.endPaid(chain, contract);
  }

  return {
    asks() {
      const open = current();
      const price = settings.get('hosting.price');
      if (!open || price === null) return null;
      return { chain: open.record.chainId, price: parseAmount(price, decimals(open)) };
    },
    async chore(open, me) {
      const { chainId } = open.record;
      const copies = hosting.paid().list(chainId);
      if (copies.length === 0) return null;
      const seen = await open.reader.read(
        (view) => ({
          period: periodOf(view.time),
          found: copies.map((copy) => ({ copy, contract: contractView(view.state, copy.contract, me) })),
        }),
        'paid copies',
      );
      const least = parseAmount(settings.get('hosting.price') ?? '0', decimals(open));
      const most = parseAmount(settings.get('hosting.collateral'), decimals(open));
      for (const { copy, contract } of seen.found) {
        const number = copy.contract;
        if (copy.taken) {
          if (!contract?.slot) await end(chainId, number, 'it has ended');
          continue;
        }
        if (contract?.slot) {
          hosting.paid().taken(chainId, number);
          continue;
        }
        if (!contract) {
          if (clock.now() - copy.named > forgetMs) await end(chainId, number, 'it stands in no block');
          continue;
        }
        const isMine = contract.host !== null && Buffer.compare(contract.host, me) === 0;
        if (!isMine || contract.price < least || contract.collateral > most) {
          await end(chainId, number, 'its terms are others');
          continue;
        }
        if (seen.period + 1 >= contract.until || contract.hosts.length >= contract.copies) {
          await end(chainId, number, 'it is full or at its end');
          continue;
        }
        // Reads all blocks: what is taken is here, and is what the contract is over.
        const content = await contentFor(chainId, number);
        if (!content) continue;
        const isSame =
          Buffer.compare(content.root, contract.root) === 0 && content.leaves === leavesOf(contract.bytes);
        if (isSame) return message('storage.accept', { contract: number });
        await end(chainId, number, 'it is over other blocks');
      }
      return null;
    },
    async open(chain, contract, leaf) {
      const content = await contentFor(chain, contract);
      if (!content || leaf >= content.leaves) return null;
      const at = content.find(leaf);
      const proof: LeafProof | null = await hosting.paid().prove(chain, contract, at.block, at.leaf);
      return proof && content.open(leaf, proof);
    },
  };
}
