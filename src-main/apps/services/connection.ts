import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, RandomBytes } from '../../../src-shared/runtime.ts';
import { createSigner, deviceKeyOf, verifySignature } from '../../identity/index.ts';
import type { DeviceId, Signer, UserId } from '../../identity/index.ts';
import type { FrameStream, Network } from '../../network/index.ts';
import type { JsonValue } from '../collections/index.ts';
import {
  callBytes,
  callResult,
  decodeAnswer,
  describeResult,
  encodeFrame,
  errorOf,
  listResult,
  openBytes,
  receiptBytes,
  resultOf,
  serviceProtocol,
  settleResult,
} from './frames.ts';
import type { CallParams, OpenParams, Receipt, ServiceRequest, WireOffer } from './frames.ts';
import { jsonHash } from './interface.ts';
import { serviceOptions } from './server.ts';

type Unsigned = Omit<CallParams, 'sig' | 'nonce'>;

/** Answers to one request as they come in. */
interface Pending {
  alive(): void;
  item(value: unknown): void;
  done(result: unknown): void;
  failed(error: unknown): void;
}

/** One provider's computer, with a session of this person (and app). */
export interface ServiceConnection {
  list(): Promise<readonly WireOffer[]>;
  describe(hash: string): Promise<unknown>;
  settle(owner: UserId, tx: string): Promise<bigint>;
  /**
   * @returns parts as they come, the result and its receipt at the end
   * @throws AppError what the provider answers (`details.remote`); `unreachable`, `timeout` when it is gone or silent
   */
  call(
    call: Unsigned,
    signal: AbortSignal,
  ): AsyncGenerator<JsonValue, { readonly value: JsonValue; readonly receipt: Receipt }>;
  readonly closed: boolean;
  close(): void;
}

/** ms: a provider that says nothing for so long while it works is taken for gone. */
export const silence = 1200;
/** ms for what needs no work. */
const shortAnswer = 1000;
const sessionMs = 12 * 3600_000;

/**
 * Opens a session with a provider.
 * @throws AppError `unreachable`, `unsupported`, `timeout`, `forbidden`
 */
export async function openConnection(
  deps: {
    readonly network: Network;
    readonly clock: Clock;
    readonly random: RandomBytes;
    readonly device: Signer;
  },
  peer: DeviceId,
  { user, app }: { readonly user: UserId; readonly app: string | null },
  signal: AbortSignal,
): Promise<ServiceConnection> {
  const { network, clock, random } = deps;
  const stream: FrameStream = await network.open(peer, serviceProtocol, serviceOptions, signal);
  const key = createSigner(random(32));
  const pending = new Map<number, Pending>();
  let count = 0;
  let closed = false;

  function end(error: unknown): void {
    closed = true;
    for (const one of pending.values()) one.failed(error);
    pending.clear();
  }

  async function read(): Promise<void> {
    for (;;) {
      const frame = await stream.read();
      if (frame === null) throw new AppError('unreachable', 'The provider has gone.');
      const answer = decodeAnswer(frame);
      if ('method' in answer) {
        const one = pending.get(answer.params.id);
        one?.alive();
        if (answer.method === 'item') one?.item(answer.params.value);
        continue;
      }
      const one = pending.get(answer.id);
      pending.delete(answer.id);
      if ('error' in answer) one?.failed(errorOf(answer.error));
      else one?.done(answer.result);
    }
  }
  void read().catch((error: unknown) => {
    stream.abort(error as Error);
    end(isAppError(error) ? error : new AppError('unreachable', 'The provider has gone.', { cause: error }));
  });

  const send = (message: ServiceRequest): Promise<void> => stream.send(encodeFrame(message));

  function ask(make: (id: number) => ServiceRequest, limit = shortAnswer): Promise<unknown> {
    if (closed) return Promise.reject(new AppError('unreachable', 'The provider has gone.'));
    const id = ++count;
    return new Promise((resolve, reject) => {
      const cancel = clock.after(limit, () => {
        pending.delete(id);
        reject(new AppError('timeout', 'The provider did not answer in time.'));
      });
      pending.set(id, {
        alive() {},
        item() {},
        done: (result) => (cancel(), resolve(result)),
        failed: (error) => (cancel(), reject(error as Error)),
      });
      send(make(id)).catch((error: unknown) => {
        pending.delete(id);
        cancel();
        reject(error as Error);
      });
    });
  }

  async function* call(given: Unsigned, limit: AbortSignal) {
    if (closed) throw new AppError('unreachable', 'The provider has gone.');
    const id = ++count;
    const unsigned = { ...given, nonce: Buffer.from(random(16)).toString('hex') };
    const sig = Buffer.from(key.sign(callBytes(peer, unsigned))).toString('base64url');
    const queue: JsonValue[] = [];
    let outcome: { result: unknown } | { error: unknown } | null = null;
    let wake = (): void => {};
    let quiet = (): void => {};
    const watch = (): void => {
      quiet();
      quiet = clock.after(silence, () =>
        finish({ error: new AppError('timeout', 'The provider fell silent.') }),
      );
    };
    const finish = (value: typeof outcome): void => {
      outcome ??= value;
      wake();
    };
    const onAbort = (): void => finish({ error: limit.reason });
    limit.addEventListener('abort', onAbort, { once: true });
    pending.set(id, {
      alive: watch,
      item(value) {
        queue.push(value as JsonValue);
        wake();
      },
      done: (result) => finish({ result }),
      failed: (error) => finish({ error }),
    });
    watch();
    let finished = false;
    try {
      if (limit.aborted) throw limit.reason;
      await send({ jsonrpc: '2.0', id, method: 'call', params: { ...unsigned, sig } });
      for (;;) {
        if (queue.length > 0) {
          yield queue.shift() as JsonValue;
          continue;
        }
        const now = outcome as { result: unknown } | { error: unknown } | null;
        if (now === null) {
          await new Promise<void>((resolve) => (wake = resolve));
          continue;
        }
        finished = !limit.aborted;
        if ('error' in now) throw now.error;
        const { value, receipt } = resultOf(callResult, now.result);
        checkReceipt(receipt, unsigned, value);
        return { value: value as JsonValue, receipt };
      }
    } finally {
      quiet();
      limit.removeEventListener('abort', onAbort);
      pending.delete(id);
      if (!finished && !closed) {
        void send({ jsonrpc: '2.0', method: 'cancel', params: { id } }).catch(() => {});
      }
    }
  }

  function checkReceipt(receipt: Receipt, asked: Unsigned & { nonce: string }, value: unknown): void {
    const { sig, ...body } = receipt;
    const fits =
      body.owner === asked.owner &&
      body.service === asked.service &&
      body.interface === asked.interface &&
      body.method === asked.method &&
      body.nonce === asked.nonce &&
      body.caller === user &&
      body.app === app &&
      body.params === jsonHash(asked.params) &&
      body.result === jsonHash(value) &&
      (body.fee === null ||
        (asked.maxFee !== null &&
          body.fee.symbol === asked.maxFee.symbol &&
          BigInt(body.fee.amount) <= BigInt(asked.maxFee.amount)));
    const signed =
      fits && verifySignature(deviceKeyOf(peer), receiptBytes(body), Buffer.from(sig, 'base64url'));
    if (!signed) throw new AppError('bad_signature', 'The receipt of a call does not say what was called.');
  }

  const expires = clock.now() + sessionMs;
  const params: Omit<OpenParams, 'sig' | 'v'> = {
    user,
    app,
    key: Buffer.from(key.publicKey).toString('hex'),
    expires,
  };
  const sig = Buffer.from(deps.device.sign(openBytes(peer, params))).toString('base64url');
  try {
    await ask((id) => ({ jsonrpc: '2.0', id, method: 'open', params: { v: 1, ...params, sig } }));
  } catch (error) {
    stream.abort(error as Error);
    throw error;
  }

  return {
    list: async () =>
      resultOf(listResult, await ask((id) => ({ jsonrpc: '2.0', id, method: 'list', params: {} }))).offers,
    describe: async (hash) =>
      resultOf(
        describeResult,
        await ask((id) => ({ jsonrpc: '2.0', id, method: 'describe', params: { interface: hash } })),
      ).interface,
    settle: async (owner, tx) =>
      BigInt(
        resultOf(
          settleResult,
          await ask((id) => ({ jsonrpc: '2.0', id, method: 'settle', params: { owner, tx } }), 10_000),
        ).owed,
      ),
    call,
    get closed() {
      return closed || expires < clock.now() + 60_000;
    },
    close() {
      end(new AppError('cancelled', 'The connection was closed.'));
      void stream.close().catch(() => {});
    },
  };
}
