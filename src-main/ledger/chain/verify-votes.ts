import { verifySignature, verifySignatureAsync } from '../../identity/index.ts';
import { proposalSignBytes, voteSignBytes } from '../codec/index.ts';
import type { Proposal, Validator, Vote } from '../types.ts';

/** Checks signatures of consensus messages, each once: gossip and direct streams bring the same ones. */
export interface VoteChecker {
  /** The votes that are good, in their order; `bad` counts those that are not. */
  votes(
    list: readonly { readonly vote: Vote; readonly validator: Validator }[],
  ): Promise<{ readonly good: readonly Vote[]; readonly bad: number }>;
  proposal(proposal: Proposal, validator: Validator): boolean;
}

/** Answers remembered. A height of 100 validators has 200 votes. */
const remembered = 8192;
/** Up to so many are checked at once on this thread, which is quicker than asking others; more go to the threads of libuv. */
const inline = 4;

export function createVoteChecker(chainId: string): VoteChecker {
  const known = new Map<string, boolean>();

  /** A signature alone does not say for what it is: key, message and signature together do. */
  const nameOf = (message: Uint8Array, validator: Validator, sig: Uint8Array): string =>
    Buffer.concat([sig, validator.id, message]).toString('latin1');

  function remember(name: string, good: boolean): void {
    if (known.size >= remembered) known.delete(known.keys().next().value as string);
    known.set(name, good);
  }

  return {
    async votes(list) {
      const checks = list.map(({ vote, validator }) => {
        const message = voteSignBytes(chainId, vote);
        const name = nameOf(message, validator, vote.sig);
        return { vote, validator, message, name, good: known.get(name) };
      });
      const unknown = checks.filter(({ good }) => good === undefined);
      if (unknown.length <= inline) {
        for (const check of unknown)
          check.good = verifySignature(check.validator.key, check.message, check.vote.sig);
      } else {
        await Promise.all(
          unknown.map(async (check) => {
            check.good = await verifySignatureAsync(check.validator.key, check.message, check.vote.sig);
          }),
        );
      }
      for (const { name, good } of unknown) remember(name, good as boolean);
      const good = checks.filter((check) => check.good).map(({ vote }) => vote);
      return { good, bad: list.length - good.length };
    },
    proposal(proposal, validator) {
      const message = proposalSignBytes(chainId, proposal);
      const name = nameOf(message, validator, proposal.sig);
      let good = known.get(name);
      if (good === undefined) {
        good = verifySignature(validator.key, message, proposal.sig);
        remember(name, good);
      }
      return good;
    },
  };
}
