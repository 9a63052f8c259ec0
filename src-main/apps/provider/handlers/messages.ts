import { AppError } from '../../../../src-shared/errors.ts';
import { mayCount } from '../../permissions/index.ts';
import type { AppHandlers, HandlerDeps } from '../types.ts';
import { pump } from './pump.ts';

type Names = 'exc_messageSend' | 'exc_messageWatch' | 'exc_messageDone';

/** Messages to the same app of somebody else. */
export function messageHandlers({ node, records }: HandlerDeps): Pick<AppHandlers, Names> {
  return {
    async exc_messageSend(call, { to, body }) {
      const { appId } = call.app;
      call.about(to);
      if (!mayCount(call.grants(), 'messages', records.used(appId, 'messages').times)) {
        throw new AppError('rate_limited', 'This app has sent as many messages today as you allow.');
      }
      // Counted before it is sent: of several at once none finds room that another takes.
      const undo = records.use(appId, 'messages', '', '1');
      try {
        return await node.messages.send({ app: appId, to, body }, call.signal);
      } catch (error) {
        undo();
        throw error;
      }
    },
    exc_messageWatch: (call) =>
      call.subscribe('exc_messageWatch', (send) =>
        pump((signal) => node.messages.watch({ app: call.app.appId }, signal), send),
      ),
    exc_messageDone: (call, { n }) => node.messages.done({ app: call.app.appId, n }, call.signal),
  };
}
