import { readSecret } from '../secrets.ts';

interface PayingOptions {
  readonly feeIn?: string | undefined;
  readonly passwordFile?: string | undefined;
}

/** Option of every command that may need the password, see the setting `wallet.passwordAbove`. */
export const passwordFile = [
  '--password-file <file>',
  'where the keystore asks for its password (- for standard input)',
] as const;

/** What every command that makes a transaction takes: the token of the fee and the password, each only if given. */
export async function paying({ feeIn, passwordFile }: PayingOptions) {
  return {
    ...(feeIn !== undefined && { feeIn: feeIn.toUpperCase() }),
    ...(passwordFile !== undefined && { password: await readSecret(passwordFile, 'password') }),
  };
}

/** What commands that make a transaction answer. */
export function acceptedAnswer(value: { hash: string }) {
  return { value, text: `Sent: ${value.hash}\nFinal when \`tx wait\` returns.` };
}
