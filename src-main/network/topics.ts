import type { GossipSub } from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import { AppError } from '../../src-shared/errors.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import type { Topic, TopicOptions, TopicVerdict } from './types.ts';

/** Gossip: a message published on a topic reaches all that joined it, through others, mostly. Losses are the user's business. */
export interface Topics {
  /** @throws AppError `unsupported` when gossip is off, `already_exists` */
  join(name: string, options: TopicOptions): Topic;
}

const prefix = '/extrachain/';

export function createTopics(
  pubsub: GossipSub | null,
  logger: Logger,
  penalise: (peer: string, reason: string) => void,
): Topics {
  const joined = new Set<string>();
  return {
    join(name, options) {
      if (!pubsub) throw new AppError('unsupported', 'Gossip is turned off on this node.');
      const topic = prefix + name;
      if (joined.has(topic)) throw new AppError('already_exists', `The topic ${name} is joined already.`);
      joined.add(topic);
      pubsub.topicValidators.set(topic, async (peer: PeerId, message) => {
        const from = peer.toString();
        let verdict: TopicVerdict;
        if (message.data.length > options.maxBytes) verdict = 'reject';
        else {
          try {
            verdict = await options.validate(from, message.data);
          } catch (error) {
            logger.error({ topic: name, error: String(error) }, 'a gossip message could not be looked at');
            verdict = 'ignore';
          }
        }
        if (verdict === 'reject') penalise(from, `${name}: a message that is not valid`);
        return verdict as never;
      });
      pubsub.subscribe(topic);
      return {
        async publish(data) {
          if (data.length > options.maxBytes)
            throw new AppError('too_large', 'A gossip message is too large.');
          try {
            await pubsub.publish(topic, data);
          } catch (error) {
            logger.debug({ topic: name, error: String(error) }, 'a gossip message was not sent');
          }
        },
        peers: () => pubsub.getSubscribers(topic).map(String),
        leave() {
          joined.delete(topic);
          pubsub.topicValidators.delete(topic);
          pubsub.unsubscribe(topic);
        },
      };
    },
  };
}
