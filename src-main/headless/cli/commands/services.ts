import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { Command } from '@commander-js/extra-typings';
import { AppError } from '../../../../src-shared/errors.ts';
import { formatFields, formatTable, formatTime } from '../format.ts';
import { parseCount } from '../parse.ts';
import type { Run } from '../program.ts';
import type { AppClient } from '../session.ts';

function json(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new AppError('invalid_argument', `${what} is not valid JSON.`, { cause });
  }
}

async function readManifest(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new AppError('not_found', `${file} cannot be read.`, { cause });
  });
  return json(text, file);
}

const priceText = (price: { symbol: string; amount: string } | null): string =>
  price ? `${price.amount} ${price.symbol}` : 'free';

/** The best that others say of a provider of it, as `92 % (3)`: the share of their calls it answered, and how many people say so. */
function ratingText(providers: readonly { rating: { success: number; raters: number } | null }[]): string {
  const told = providers.flatMap(({ rating }) => (rating ? [rating] : []));
  const [best] = told.sort((a, b) => b.success - a.success);
  return best ? `${Math.round(best.success * 100)} % (${best.raters})` : '';
}

/** `12.5 EXC` or `12.5EXC`. */
function parseFee(text: string): { symbol: string; amount: string } {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Z0-9]{2,12})$/.exec(text.trim());
  if (match) return { amount: match[1] as string, symbol: match[2] as string };
  throw new AppError('invalid_argument', 'Write the most a call may cost as in "0.5 EXC".');
}

/** A line that the program behind a service writes. */
function stepOf(line: string) {
  const answer = json(line, 'A line of the program') as Record<string, unknown>;
  if (typeof answer !== 'object' || answer === null || typeof answer['id'] !== 'string') return null;
  const call = answer['id'];
  if ('item' in answer) return { call, step: { kind: 'item' as const, value: answer['item'] } };
  if ('result' in answer) return { call, step: { kind: 'result' as const, value: answer['result'] } };
  const error = answer['error'] as { message?: unknown } | string | undefined;
  if (error === undefined) return null;
  const message =
    typeof error === 'string' ? error : typeof error?.message === 'string' ? error.message : 'It failed.';
  return { call, step: { kind: 'error' as const, message: message.slice(0, 500) || 'It failed.' } };
}

/** Runs a program that answers a service: one JSON object a line, calls on its standard input, answers on its standard output. */
async function serve(
  client: AppClient,
  manifest: unknown,
  command: string,
  signal: AbortSignal,
  ready: (service: string, hash: string) => void,
): Promise<void> {
  const end = new AbortController();
  // A program in Node would keep its compiled code among our packages.
  const env = { ...process.env };
  delete env['NODE_COMPILE_CACHE'];
  const child = spawn(command, { shell: true, stdio: ['pipe', 'pipe', 'inherit'], env });
  const exited = new Promise<AppError>((resolve) => {
    child.once('error', (cause) =>
      resolve(new AppError('service_failed', 'The program could not be started.', { cause })),
    );
    child.once('exit', (code, killed) =>
      resolve(new AppError('service_failed', `The program has ended (${killed ?? `exit ${code}`}).`)),
    );
  });
  void exited.then((error) => end.abort(error));
  // What is written to a program that has just ended is lost; its end is told above.
  child.stdin.on('error', () => {});
  const both = AbortSignal.any([signal, end.signal]);
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.trim() === '') return;
    try {
      const reply = stepOf(line);
      if (!reply) throw new AppError('invalid_argument', 'A line of the program answers no call.');
      // A caller that has gone is no matter of the program.
      client.services.reply(reply, { signal: both }).catch(() => {});
    } catch (error) {
      process.stderr.write(`${(error as Error).message}\n`);
    }
  });
  try {
    for await (const asked of client.services.provide({ manifest }, { signal: both })) {
      if (asked.kind === 'ready') ready(asked.service, asked.interface);
      else if (asked.kind === 'call') {
        const { call: id, method, params, user, app } = asked;
        child.stdin.write(`${JSON.stringify({ id, method, params, caller: { user, app } })}\n`);
      } else child.stdin.write(`${JSON.stringify({ id: asked.call, cancelled: true })}\n`);
    }
  } catch (error) {
    if (!both.aborted) throw error;
  } finally {
    child.kill();
  }
  if (end.signal.aborted && !signal.aborted) throw end.signal.reason;
}

/** `service ...`: what programs and apps offer to each other. */
export function addServiceCommands(program: Command, run: Run): void {
  const group = program.command('service').description('services of programs and apps');
  group
    .command('list')
    .description('services that can be called from here')
    .option('--search <text>', 'words of its name or description')
    .option('--interface <hash>', 'those that have this interface')
    .action(({ search, interface: hash }) =>
      run(async ({ client, signal }) => {
        const value = await (
          await client()
        ).services.list({ search: search ?? '', interface: hash ?? null }, { signal });
        const rows = value.map((one) => [
          one.title,
          priceText(one.price),
          one.providers.filter(({ connected }) => connected).length,
          ratingText(one.providers),
          one.registered ? 'yes' : 'no',
          one.service,
        ]);
        const head = ['title', 'price', 'reachable', 'others say', 'in the ledger', 'service'];
        return { value, text: () => formatTable(head, rows, 'No service is known here.') };
      }),
    );
  group
    .command('describe')
    .description('prints the interface of a service')
    .argument('<service>')
    .action((service) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).services.describe({ service }, { signal });
        return { value, text: JSON.stringify(value.definition, null, 2) };
      }),
    );
  group
    .command('call')
    .description('calls a service; the nearest and best provider answers')
    .argument('<service>', 'its name, <user>/<name>, or the hash of an interface')
    .argument('<method>')
    .option('--params <json>', 'what the method takes', '{}')
    .option('--max-fee <amount>', 'the most it may cost, as in "0.5 EXC"; left out: nothing', parseFee)
    .option('--timeout <seconds>', 'gives up after so long', parseCount)
    .option('--stream', 'prints the parts of the answer as they come, a line each')
    .action((service, method, { params, maxFee, timeout, stream }) =>
      run(async ({ client, signal, json: asJson }) => {
        const input = {
          service,
          method,
          params: json(params, '--params'),
          maxFee: maxFee ?? null,
          ...(timeout !== undefined && { timeout }),
        };
        if (!stream) {
          const value = await (await client()).services.call(input, { signal });
          const lines = [...value.items, value.value].map((one) => JSON.stringify(one, null, 2));
          return { value, text: lines.join('\n') };
        }
        for await (const part of (await client()).services.callStream(input, { signal })) {
          const shown = asJson ? part : part.value;
          if (part.kind === 'item') process.stdout.write(`${JSON.stringify(shown)}\n`);
          else return { value: part, text: JSON.stringify(part.value) };
        }
        return null;
      }),
    );
  group
    .command('serve')
    .description('offers a service, answered by a program, until it is interrupted')
    .argument('<manifest>', 'a JSON file: slug, title, text, price, interface')
    .requiredOption('--exec <command>', 'the program: one JSON object a line, calls in, answers out')
    .option(
      '--register [days]',
      'puts it into the ledger for so many days (30), so that others find it',
      (text) => parseCount(text),
    )
    .action((file, { exec, register }) =>
      run(async ({ client, signal, json: asJson }) => {
        const manifest = await readManifest(file);
        const stop = new AbortController();
        const onTerm = (): void => stop.abort();
        process.once('SIGTERM', onTerm);
        try {
          const one = await client();
          if (register !== undefined) {
            await one.services.register(
              { manifest, ...(typeof register === 'number' && { days: register }) },
              { signal },
            );
          }
          const both = AbortSignal.any([signal, stop.signal]);
          await serve(one, manifest, exec, both, (service, hash) =>
            process.stdout.write(
              asJson
                ? `${JSON.stringify({ service, interface: hash })}\n`
                : `${formatFields([
                    ['service', service],
                    ['interface', hash],
                  ])}\n`,
            ),
          );
          return null;
        } finally {
          process.removeListener('SIGTERM', onTerm);
        }
      }),
    );
  group
    .command('remove')
    .description('takes a service of yours out of the ledger')
    .argument('<slug>')
    .action((slug) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).services.remove({ slug }, { signal });
        return { value, text: value.hash };
      }),
    );
  group
    .command('receipts')
    .description('calls made from here, as their providers signed for them')
    .option('--limit <count>', 'at most so many', parseCount)
    .action(({ limit }) =>
      run(async ({ client, signal }) => {
        const value = await (
          await client()
        ).services.receipts(limit === undefined ? {} : { limit }, { signal });
        const rows = value.map((one) => [formatTime(one.time), one.method, priceText(one.fee), one.service]);
        return {
          value,
          text: () => formatTable(['when', 'method', 'fee', 'service'], rows, 'No calls yet.'),
        };
      }),
    );
}
