import type { AppNode } from '../../apps/index.ts';
import { serveIngest, servePlayback, type NodeServices } from '../../api/index.ts';
import type { Online } from '../core.ts';

/** How often a page is told that its list of collections may have changed, ms. */
const collectionsEvery = 250;

/** The node as the host of apps sees it: a part of what the contract serves, and the person's keys, lent for one act each. */
export function createAppNode({
  services,
  callers,
  online,
  chainId,
}: {
  readonly services: () => Pick<
    NodeServices,
    'drives' | 'files' | 'wallet' | 'transactions' | 'streams' | 'collections' | 'messages'
  >;
  /** Services in the name of an app. */
  readonly callers: AppNode['services'];
  readonly online: () => Online;
  readonly chainId: () => string | null;
}): AppNode {
  const identity = () => online().identity;
  return {
    get drives() {
      return services().drives;
    },
    get files() {
      return services().files;
    },
    published: { read: (input, signal) => services().files.readOpened(input, signal) },
    get wallet() {
      return services().wallet;
    },
    get transactions() {
      return services().transactions;
    },
    streams: {
      list: (input, signal) => services().streams.list(input, signal),
      poster: (input, signal) => services().streams.poster(input, signal),
      leave: (input, signal) => services().streams.leave(input, signal),
      stop: (input, signal) => services().streams.stop(input, signal),
      async watch(stream, signal) {
        const { streamId } = await services().streams.watch({ stream }, signal);
        const playback = services().streams.playback(streamId);
        return {
          streamId,
          entrance: playback.entrance,
          serve: (request, rest) => servePlayback(playback, request, rest),
          close: () => playback.close(),
          closed: playback.closed,
        };
      },
      async publish({ title, audience, renditions, partMs }, signal) {
        const { streamId, link } = await services().streams.start(
          {
            title,
            poster: null,
            audience,
            renditions,
            partMs,
            record: null,
            dvrSeconds: 120,
            targetLatency: 'default',
            fanout: null,
            outlives: false,
          },
          signal,
        );
        const ingest = services().streams.ingest(streamId);
        return {
          streamId,
          link,
          serve: (request, rest) => serveIngest(ingest, request, rest),
          ended: ingest.ended,
        };
      },
    },
    get collections() {
      return services().collections;
    },
    get messages() {
      return services().messages;
    },
    services: callers,
    onCollections(app, listener) {
      const { clock, events } = online();
      let cancel: (() => void) | null = null;
      const stop = events.on('collections', (event) => {
        if (event.app !== app) return;
        cancel ??= clock.after(collectionsEvery, () => {
          cancel = null;
          listener();
        });
      });
      return () => {
        stop();
        cancel?.();
      };
    },
    chainId,
    userId: () => identity().card().user,
    accountSigner: () => identity().accountSigner(),
    encKey: () => identity().card().encKey,
    appSecret: (appId, purpose) => identity().appSecret(appId, purpose),
    async encKeyOf(user, signal) {
      const { network } = online();
      if (user === identity().userId()) return identity().card().encKey;
      return (network.cards.get(user) ?? (await network.cards.find(user, signal))).encKey;
    },
    tryUnwrap: (box) => identity().tryUnwrap(box),
    on(event, listener) {
      const { events } = online();
      return event === 'drives'
        ? events.on('drives', ({ driveId }) => listener(driveId))
        : events.on('streams', () => listener(null));
    },
    notify(appName, title, body) {
      const { activity, events } = online();
      const message = body === '' ? `${appName}: ${title}` : `${appName}: ${title}. ${body}`;
      events.emit('activity', activity.add({ kind: 'app', message }));
    },
  };
}
