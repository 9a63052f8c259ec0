import { afterEach, describe, expect, it } from 'vitest';
import type { PeerInfo } from '../../src-main/network/index.ts';
import { until } from './harness.ts';
import { masqueradeTool, Namespaces, whyNoNamespaces } from './netns.ts';
import type { NamespaceNode } from './netns.ts';

const obstacle = whyNoNamespaces();
const tool = obstacle === null ? masqueradeTool() : null;
let spaces: Namespaces | null = null;

afterEach(async () => {
  await spaces?.remove();
  spaces = null;
});

async function peerOf(node: NamespaceNode, other: NamespaceNode): Promise<PeerInfo | undefined> {
  const peers = await node.ask<PeerInfo[]>({ do: 'peers' });
  return peers.find((peer) => peer.peerId === other.peerId);
}

const lans = { a: '10.1.1', b: '10.1.2' };
const thirdAddress = '198.51.100.1';

/**
 * The third on a switch; a and b each behind a router of their own. Without masquerade the routers route to the third alone,
 * which forwards nothing: then too a and b can only meet there. (Documentation and private ranges, inside our namespaces.)
 */
function build(net: Namespaces, masquerade: 'nft' | 'iptables' | null): void {
  for (const name of ['t', 'ra', 'rb', 'a', 'b']) net.add(name);
  const third = net.name('t');
  net.ip('-n', third, 'link', 'add', 'wan', 'type', 'bridge');
  net.ip('-n', third, 'link', 'set', 'wan', 'up');
  net.address('t', 'wan', `${thirdAddress}/24`);
  for (const host of ['a', 'b'] as const) {
    const router = `r${host}`;
    net.link('t', `to${router}`, router, 'wan');
    net.ip('-n', third, 'link', 'set', `to${router}`, 'master', 'wan');
    net.link(router, 'lan', host, 'eth');
    // Not by sysctl: it lies in a folder that a plain PATH may lack.
    net.in(router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    if (masquerade) net.masquerade(router, 'wan', masquerade);
    number(net, host, lans[host], host === 'a' ? '198.51.100.11' : '198.51.100.12');
    if (!masquerade) route(net, host, lans[host]);
  }
}

/** Gives a household its inner and outer addresses. */
function number(net: Namespaces, host: 'a' | 'b', lan: string, outer: string): void {
  net.address(`r${host}`, 'lan', `${lan}.1/24`);
  net.address(host, 'eth', `${lan}.2/24`, `${lan}.1`);
  net.address(`r${host}`, 'wan', `${outer}/24`);
}

function route(net: Namespaces, host: 'a' | 'b', lan: string): void {
  net.ip('-n', net.name('t'), 'route', 'replace', `${lan}.0/24`, 'dev', 'wan', 'via', outerOf(net, host));
}

function outerOf(net: Namespaces, host: 'a' | 'b'): string {
  return net.addressOf(`r${host}`, 'wan');
}

async function meet(a: NamespaceNode, b: NamespaceNode, timeout: number, what: string): Promise<void> {
  await until(async () => (await peerOf(a, b)) && (await peerOf(b, a)), timeout, what);
}

async function reunion(net: Namespaces, masquerade: 'nft' | 'iptables' | null): Promise<void> {
  build(net, masquerade);
  const third = await net.node('t');
  const a = await net.node('a');
  const b = await net.node('b');
  const addresses = await third.ask<string[]>({ do: 'addresses' });
  const address = addresses.find((text) => text.includes(`/${thirdAddress}/`))!;
  await a.ask({ do: 'connect', target: address });
  await b.ask({ do: 'connect', target: address });
  await a.ask({ do: 'want', target: b.peerId });
  await b.ask({ do: 'want', target: a.peerId });
  await meet(a, b, 30_000, 'the first meeting through the third');
  expect((await peerOf(a, b))!.relayed).toBe(true);
  expect(await a.ask({ do: 'echo', target: b.peerId })).toBe('hello');

  // Apart: both households lose the outer network, for long enough that everybody notices.
  for (const router of ['ra', 'rb']) net.ip('-n', net.name(router), 'link', 'set', 'wan', 'down');
  const alone = async (node: NamespaceNode): Promise<boolean> =>
    (await node.ask<PeerInfo[]>({ do: 'peers' })).length === 0;
  await until(async () => (await alone(a)) && (await alone(b)), 60_000, 'both notice that they are cut off');

  // a moves to another household; b's provider gives it another outer address, which b itself can't see.
  const moved = '10.7.7';
  number(net, 'a', moved, '198.51.100.77');
  number(net, 'b', lans.b, '198.51.100.88');
  for (const router of ['ra', 'rb']) net.ip('-n', net.name(router), 'link', 'set', 'wan', 'up');
  if (!masquerade) {
    route(net, 'a', moved);
    route(net, 'b', lans.b);
  }
  await meet(a, b, 30_000, 'the meeting after both addresses changed');
  expect(await b.ask({ do: 'echo', target: a.peerId })).toBe('hello');
}

describe('two nodes that only a third can reach, after both their addresses changed while they were apart', () => {
  const noMasquerade = obstacle ?? (tool ? null : 'neither "nft" nor "iptables" is there to masquerade');
  it.skipIf(noMasquerade !== null)(
    `find each other within 30 s from behind masquerade${noMasquerade ? ` (skipped: ${noMasquerade})` : ''}`,
    { timeout: 180_000 },
    () => reunion((spaces = new Namespaces()), tool),
  );
  it.skipIf(obstacle !== null)(
    `find each other within 30 s from networks without a route between them${obstacle ? ` (skipped: ${obstacle})` : ''}`,
    { timeout: 180_000 },
    () => reunion((spaces = new Namespaces()), null),
  );
});
