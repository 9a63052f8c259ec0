import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';

/** Why network namespaces can't be used here, or null. */
export function whyNoNamespaces(): string | null {
  if (process.platform !== 'linux') return 'network namespaces exist on Linux only';
  if (process.getuid?.() !== 0) return 'making network namespaces takes root';
  if (!works('ip', ['-V'])) return 'the command "ip" is missing';
  const probe = `exn${process.pid}p`;
  if (!works('ip', ['netns', 'add', probe])) return 'network namespaces can not be made here';
  works('ip', ['netns', 'del', probe]);
  return null;
}

/** The command that can masquerade, or null. */
export function masqueradeTool(): 'nft' | 'iptables' | null {
  if (works('nft', ['--version'])) return 'nft';
  if (works('iptables', ['-t', 'nat', '-S'])) return 'iptables';
  return null;
}

function works(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export interface NamespaceNode {
  readonly peerId: string;
  ask<T>(command: { readonly do: string; readonly target?: string }): Promise<T>;
}

/** Namespaces of one test; everything is gone after `remove`, whatever happened. */
export class Namespaces {
  readonly #prefix = `exn${process.pid}`;
  readonly #made: string[] = [];
  readonly #children = new Set<ChildProcess>();

  ip(...args: string[]): void {
    execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  in(name: string, command: string, ...args: string[]): void {
    this.ip('netns', 'exec', this.name(name), command, ...args);
  }
  name(name: string): string {
    return `${this.#prefix}${name}`;
  }

  add(name: string): void {
    this.ip('netns', 'add', this.name(name));
    this.#made.push(name);
    this.ip('-n', this.name(name), 'link', 'set', 'lo', 'up');
  }

  /** A cable between two namespaces, both ends up. Interface names are given per end. */
  link(a: string, endA: string, b: string, endB: string): void {
    this.ip(
      'link',
      'add',
      endA,
      'netns',
      this.name(a),
      'type',
      'veth',
      'peer',
      'name',
      endB,
      'netns',
      this.name(b),
    );
    this.ip('-n', this.name(a), 'link', 'set', endA, 'up');
    this.ip('-n', this.name(b), 'link', 'set', endB, 'up');
  }

  /** Replaces all IPv4 addresses of an interface, and the default route when given. */
  address(name: string, device: string, address: string, gateway?: string): void {
    const ns = this.name(name);
    this.ip('-n', ns, 'addr', 'flush', 'dev', device);
    this.ip('-n', ns, 'addr', 'add', address, 'dev', device);
    if (gateway !== undefined) this.ip('-n', ns, 'route', 'replace', 'default', 'via', gateway);
  }

  /** The first IPv4 address of an interface. */
  addressOf(name: string, device: string): string {
    const shown = execFileSync('ip', ['-n', this.name(name), '-4', '-o', 'addr', 'show', 'dev', device]);
    const match = /inet ([0-9.]+)\//.exec(shown.toString());
    if (!match) throw new Error(`${device} in ${name} has no address`);
    return match[1]!;
  }

  masquerade(name: string, device: string, tool: 'nft' | 'iptables'): void {
    if (tool === 'iptables') {
      this.in(name, 'iptables', '-t', 'nat', '-A', 'POSTROUTING', '-o', device, '-j', 'MASQUERADE');
      return;
    }
    this.in(name, 'nft', 'add', 'table', 'ip', 'nat');
    this.in(name, 'nft', 'add chain ip nat post { type nat hook postrouting priority 100 ; }');
    this.in(name, 'nft', `add rule ip nat post oifname "${device}" masquerade`);
  }

  /** Starts a node in a namespace and waits until it listens. */
  async node(name: string): Promise<NamespaceNode> {
    const script = join(import.meta.dirname, 'netns-node.ts');
    const child = spawn('ip', ['netns', 'exec', this.name(name), process.execPath, script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#children.add(child);
    const waiting = new Map<number, PromiseWithResolvers<unknown>>();
    const started = Promise.withResolvers<unknown>();
    waiting.set(0, started);
    child.on('exit', () => {
      this.#children.delete(child);
      for (const waiter of waiting.values()) waiter.reject(new Error(`the node in ${name} ended`));
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const answer = JSON.parse(line) as { id: number; result?: unknown; error?: string };
      const waiter = waiting.get(answer.id);
      waiting.delete(answer.id);
      if (answer.error === undefined) waiter?.resolve(answer.result);
      else waiter?.reject(new Error(answer.error));
    });
    const peerId = (await started.promise) as string;
    let next = 1;
    return {
      peerId,
      ask<T>(command: { readonly do: string; readonly target?: string }): Promise<T> {
        const waiter = Promise.withResolvers<unknown>();
        const id = next++;
        waiting.set(id, waiter);
        child.stdin.write(`${JSON.stringify({ id, ...command })}\n`);
        return waiter.promise as Promise<T>;
      },
    };
  }

  async remove(): Promise<void> {
    await Promise.all(
      [...this.#children].map((child) => {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        return ended;
      }),
    );
    for (const name of this.#made.splice(0)) {
      try {
        this.ip('netns', 'del', this.name(name));
      } catch {
        // Reported by ip itself; the others must still go.
      }
    }
  }
}
