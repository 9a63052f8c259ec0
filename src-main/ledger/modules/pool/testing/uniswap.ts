import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Common, Hardfork, Mainnet } from '@ethereumjs/common';
import { createEVM } from '@ethereumjs/evm';
import { Account, createAddressFromString, hexToBytes } from '@ethereumjs/util';
import type { Address, PrefixedHexString } from '@ethereumjs/util';

/*
 * The published bytecode of Uniswap v2's pair, run as it is: two tokens, a factory that takes no part of the fee, and the pair
 * between them. What it lets through and what it refuses is what our integer maths is held against.
 */

const require = createRequire(import.meta.url);
const bytecodeOf = (name: string): PrefixedHexString => {
  const file = require.resolve(`@uniswap/v2-core/build/${name}.json`);
  return `0x${(JSON.parse(readFileSync(file, 'utf8')) as { bytecode: string }).bytecode.replace(/^0x/, '')}`;
};

const word = (value: bigint): string => value.toString(16).padStart(64, '0');
const wordOf = (address: Address): string => address.toString().slice(2).padStart(64, '0');
const asBytes = (hex: string): Uint8Array => hexToBytes(`0x${hex}`);

const selectors = {
  'createPair(address,address)': 'c9c65396',
  'getPair(address,address)': 'e6a43905',
  'token0()': '0dfe1681',
  'getReserves()': '0902f1ac',
  'mint(address)': '6a627842',
  'burn(address)': '89afcb44',
  'swap(uint256,uint256,address,bytes)': '022c0d9f',
  'transfer(address,uint256)': 'a9059cbb',
  'balanceOf(address)': '70a08231',
  'totalSupply()': '18160ddd',
  'price0CumulativeLast()': '5909c0d5',
  'price1CumulativeLast()': '5a3d5493',
} as const;
type Call = keyof typeof selectors;

/** A pair of Uniswap v2 whose token0 is our `a`. All amounts are in units of the tokens. */
export interface UniswapPair {
  /** Sends both amounts to the pair and mints; null when it reverts, and then nothing was sent. */
  mint(a: bigint, b: bigint): Promise<bigint | null>;
  burn(shares: bigint): Promise<{ readonly a: bigint; readonly b: bigint } | null>;
  /** Sends `amountIn` of one token and asks for `out` of the other; false when the pair refuses. */
  swap(intoA: boolean, amountIn: bigint, out: bigint): Promise<boolean>;
  state(): Promise<{
    readonly reserveA: bigint;
    readonly reserveB: bigint;
    readonly shares: bigint;
    readonly sumA: bigint;
    readonly sumB: bigint;
  }>;
  /** Of the next calls, seconds. */
  setTime(seconds: number): void;
}

export async function createUniswapPair(): Promise<UniswapPair> {
  const evm = await createEVM({ common: new Common({ chain: Mainnet, hardfork: Hardfork.Istanbul }) });
  const user = createAddressFromString('0x00000000000000000000000000000000000000aa');
  await evm.stateManager.putAccount(user, new Account(0n, 10n ** 18n));
  let seconds = 1_600_000_000;
  const block = () => ({
    header: {
      number: 10_000_000n,
      timestamp: BigInt(seconds),
      gasLimit: 2n ** 60n,
      coinbase: user,
      difficulty: 0n,
      prevRandao: new Uint8Array(32),
      baseFeePerGas: 0n,
      cliqueSigner: () => user,
      getBlobGasPrice: () => undefined,
    },
  });
  const gasLimit = 30_000_000n;

  async function deploy(name: string, argument: string): Promise<Address> {
    const data = asBytes(bytecodeOf(name).slice(2) + argument);
    const { createdAddress, execResult } = await evm.runCall({
      caller: user,
      data,
      gasLimit,
      block: block() as never,
    });
    if (!createdAddress || execResult.exceptionError) throw new Error(`${name} was not deployed`);
    return createdAddress;
  }

  /** Null: it reverted. */
  async function call(to: Address, what: Call, ...words: string[]): Promise<bigint[] | null> {
    const data = asBytes(selectors[what] + words.join(''));
    const { execResult } = await evm.runCall({ caller: user, to, data, gasLimit, block: block() as never });
    if (execResult.exceptionError) return null;
    const hex = Buffer.from(execResult.returnValue).toString('hex');
    return (hex.match(/.{64}/g) ?? []).map((one) => BigInt(`0x${one}`));
  }
  const one = async (to: Address, what: Call, ...words: string[]): Promise<bigint> => {
    const [value] = (await call(to, what, ...words)) ?? [];
    if (value === undefined) throw new Error(`${what} reverted`);
    return value;
  };
  /** Takes everything back when `body` answers null. */
  async function atomic<T>(body: () => Promise<T | null>): Promise<T | null> {
    await evm.stateManager.checkpoint();
    const result = await body();
    if (result === null) await evm.stateManager.revert();
    else await evm.stateManager.commit();
    return result;
  }

  const supply = word(2n ** 200n);
  const factory = await deploy('UniswapV2Factory', word(0n));
  const tokens = [await deploy('ERC20', supply), await deploy('ERC20', supply)] as [Address, Address];
  await call(factory, 'createPair(address,address)', wordOf(tokens[0]), wordOf(tokens[1]));
  const found = await one(factory, 'getPair(address,address)', wordOf(tokens[0]), wordOf(tokens[1]));
  const pair = createAddressFromString(`0x${found.toString(16).padStart(40, '0')}`);
  if ((await one(pair, 'token0()')) !== BigInt(tokens[0].toString())) tokens.reverse();
  const [a, b] = tokens;
  const send = (token: Address, amount: bigint) =>
    one(token, 'transfer(address,uint256)', wordOf(pair), word(amount));

  return {
    mint: (amountA, amountB) =>
      atomic(async () => {
        await send(a, amountA);
        await send(b, amountB);
        return (await call(pair, 'mint(address)', wordOf(user)))?.[0] ?? null;
      }),
    burn: (shares) =>
      atomic(async () => {
        if (!(await call(pair, 'transfer(address,uint256)', wordOf(pair), word(shares)))) return null;
        const out = await call(pair, 'burn(address)', wordOf(user));
        return out && { a: out[0] as bigint, b: out[1] as bigint };
      }),
    async swap(intoA, amountIn, out) {
      const done = await atomic(async () => {
        await send(intoA ? b : a, amountIn);
        const [outA, outB] = intoA ? [out, 0n] : [0n, out];
        const data = [word(outA), word(outB), wordOf(user), word(128n), word(0n)];
        return call(pair, 'swap(uint256,uint256,address,bytes)', ...data);
      });
      return done !== null;
    },
    async state() {
      const [reserveA, reserveB] = (await call(pair, 'getReserves()')) as [bigint, bigint];
      return {
        reserveA,
        reserveB,
        shares: await one(pair, 'totalSupply()'),
        sumA: await one(pair, 'price0CumulativeLast()'),
        sumB: await one(pair, 'price1CumulativeLast()'),
      };
    },
    setTime(next) {
      seconds = next;
    },
  };
}
