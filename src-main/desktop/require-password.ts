import { AppError } from '../../src-shared/errors.ts';
import type { NodeServices } from '../api/index.ts';

/**
 * Where no keychain guards the keystore, refuses to put an identity into it before it has a password: its key would lie
 * beside it in plain text.
 */
export function requirePassword(node: NodeServices): NodeServices {
  const guarded =
    <I, O>(call: (input: I, signal: AbortSignal) => O) =>
    async (input: I, signal: AbortSignal): Promise<Awaited<O>> => {
      const { keystore } = await node.node.status({}, signal);
      if (keystore === 'unprotected') {
        throw new AppError(
          'not_allowed',
          'This computer has no keychain that could guard your keys. Set a password first.',
        );
      }
      return call(input, signal) as Awaited<O>;
    };
  return {
    ...node,
    identity: {
      ...node.identity,
      create: guarded(node.identity.create),
      restore: guarded(node.identity.restore),
    },
    devices: { ...node.devices, join: guarded(node.devices.join) },
  };
}
