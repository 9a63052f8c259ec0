/** One node inside a network namespace, driven by lines of JSON on stdin, answering on stdout. */
import { createInterface } from 'node:readline';
import { startNode, stopAll } from './harness.ts';

const node = await startNode({ listen: ['/ip4/0.0.0.0/tcp/0'], relay: 'auto' });
const { network } = node;
const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

const options = { maxFrame: 1024, maxStreams: 4, idleTimeout: 5000, maxRate: 0 };
network.handle('echo/1', options, async (stream) => {
  for (let frame = await stream.read(); frame; frame = await stream.read()) await stream.send(frame);
});

interface Command {
  readonly id: number;
  readonly do: 'connect' | 'want' | 'peers' | 'addresses' | 'echo' | 'stop';
  readonly target?: string;
}

async function run(command: Command): Promise<unknown> {
  const target = command.target ?? '';
  switch (command.do) {
    case 'connect':
      return network.connect(target);
    case 'want':
      return void network.want(target);
    case 'peers':
      return network.peers();
    case 'addresses':
      return network.addresses();
    case 'echo': {
      const stream = await network.open(target, 'echo/1', options);
      await stream.send(Buffer.from('hello'));
      const answer = await stream.read();
      await stream.close();
      return answer === null ? null : Buffer.from(answer).toString();
    }
    case 'stop':
      await stopAll();
      setImmediate(() => process.exit(0));
      return null;
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line) as Command;
  run(command).then(
    (result) => say({ id: command.id, result: result ?? null }),
    (error: unknown) => say({ id: command.id, error: String(error) }),
  );
});
// The test's end closes stdin, also when it was killed.
process.stdin.on('end', () => process.exit(0));
say({ id: 0, result: network.peerId });
