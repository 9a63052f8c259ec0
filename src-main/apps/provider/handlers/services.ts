import { AppError, isAppError } from '../../../../src-shared/errors.ts';
import { addAmounts, maySpendUnasked, subtractAmount } from '../../permissions/index.ts';
import type { ParsedParamsOf } from '../../../../src-shared/apps/methods/index.ts';
import { checkManifest } from '../../services/interface.ts';
import { readProvided } from '../../services/standing.ts';
import type { AppHandlers, Call, HandlerDeps, HostedApp, ServiceCallInput } from '../types.ts';
import { pump } from './pump.ts';

type Names =
  'exc_serviceFind' | 'exc_serviceCall' | 'exc_serviceCallWatch' | 'exc_serviceProvide' | 'exc_serviceReply';
type CallParams = ParsedParamsOf<'exc_serviceCall'>;

/**
 * Sees to it that an app answers what its manifest says, which is what the person was shown.
 * @throws AppError `not_granted`, `invalid_argument`
 */
async function checkDeclared({ manifest, read }: HostedApp, given: unknown): Promise<void> {
  const { slug, interface: definition } = checkManifest(given);
  const declared = manifest.services.provides.find((one) => one.slug === slug);
  if (!declared) throw new AppError('not_granted', `The manifest of this app provides no service ${slug}.`);
  if (declared.answers)
    throw new AppError(
      'invalid_argument',
      `ExtraChain answers ${slug} itself, as the manifest of this app says.`,
    );
  if ((await readProvided(declared, read)).hash !== definition.hash)
    throw new AppError('not_granted', `The manifest of this app names another interface for ${slug}.`);
}

/** Whom a service's full name names; null: whoever answers. */
function ownerOf(service: string): string | null {
  const slash = service.indexOf('/');
  return slash < 0 ? null : service.slice(0, slash);
}

/** ExAPI: calls in the name of the app, and services that its page answers. */
export function serviceHandlers({ node, records }: HandlerDeps): Pick<AppHandlers, Names> {
  /**
   * Sees to it that the app may make this call: the interface it was allowed, and what it costs, which the person is asked about unless
   * the payments of a day allow it.
   * @returns the call as it is made, and what takes its price out of the count again when it fails
   */
  async function admit(
    call: Call,
    params: CallParams,
  ): Promise<{ params: ServiceCallInput; undo: () => void }> {
    call.about(`${params.service} ${params.method}`);
    const bounds = call.grants().flatMap(({ name, caveats }) => (name === 'services.call' ? [caveats] : []));
    const bound = bounds.length > 0 && bounds.every((one) => one.interface !== undefined);
    if (!bound && params.maxFee === null) return { params, undo: () => {} };
    const found = await node.services.describe({ service: params.service }, call.signal);
    if (bound && !bounds.some((one) => one.interface === found.interface)) {
      throw new AppError('not_granted', 'This app may call services of another interface only.');
    }
    // A name may lead to somebody else a moment later: what was looked at is what is called.
    const only = { interface: found.interface };
    if (params.maxFee === null || found.price === null)
      return { params: { ...params, ...only, maxFee: null }, undo: () => {} };
    const fee = params.maxFee === 'listed' ? found.price : params.maxFee;
    const { appId } = call.app;
    const unasked = maySpendUnasked(call.grants(), {
      symbol: fee.symbol,
      amount: addAmounts(fee.amount),
      used: records.used(appId, 'tokens.spend', fee.symbol).amount,
      payments: records.used(appId, 'tokens.spend').times,
    });
    if (!unasked) {
      const balances = await node.wallet.balance({ user: null }, call.signal);
      const left = balances.find(({ symbol }) => symbol === fee.symbol)?.amount ?? '0';
      await call.ask({
        kind: 'payment',
        text: `${params.service} ${params.method}`,
        spends: [{ symbol: fee.symbol, amount: fee.amount, to: ownerOf(params.service) }],
        balancesAfter: [{ symbol: fee.symbol, amount: subtractAmount(left, fee.amount) }],
        discloses: ['serviceLearns'],
      });
    }
    const undo = unasked ? records.use(appId, 'tokens.spend', fee.symbol, fee.amount) : () => {};
    return { params: { ...params, ...only, maxFee: fee }, undo };
  }

  return {
    exc_serviceFind: async ({ signal }, query) => ({ services: await node.services.list(query, signal) }),
    async exc_serviceCall(call, given) {
      const { params, undo } = await admit(call, given);
      try {
        return await node.services.call(call.app.appId, params, call.signal);
      } catch (error) {
        undo();
        throw error;
      }
    },
    async exc_serviceCallWatch(call, given) {
      const { params, undo } = await admit(call, given);
      return call.subscribe('exc_serviceCallWatch', (send) =>
        pump(
          (signal) => node.services.callStream(call.app.appId, params, signal),
          send,
          (error) => {
            undo();
            const known = isAppError(error);
            send({
              kind: 'error',
              code: known ? error.code : 'internal',
              message: known ? error.message : 'Something went wrong inside the node.',
            });
          },
        ),
      );
    },
    async exc_serviceProvide(call, { manifest }) {
      await checkDeclared(call.app, manifest);
      return call.subscribe('exc_serviceProvide', (send) =>
        pump((signal) => node.services.provide(call.app.appId, manifest, signal), send),
      );
    },
    exc_serviceReply(call, reply) {
      node.services.reply(call.app.appId, reply);
      return { ok: true };
    },
  };
}
