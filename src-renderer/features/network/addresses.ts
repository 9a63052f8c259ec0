/** The host of a multiaddr, for people: `192.168.1.24`, or the name; of a relayed one the relay's. */
export function hostOf(multiaddr: string): string {
  const parts = multiaddr.split('/');
  const at = parts.findIndex((part) => ['ip4', 'ip6', 'dns', 'dns4', 'dns6', 'dnsaddr'].includes(part));
  return (at >= 0 && parts[at + 1]) || multiaddr || '–';
}

/** Whether an address is of this computer or of the network at home. */
export function isLocal(multiaddr: string): boolean {
  const host = hostOf(multiaddr).toLowerCase();
  return (
    /^(127|10)\./.test(host) ||
    host.startsWith('192.168.') ||
    /^172\.(1[6-9]|2\d|3[01])\./.test(host) ||
    host.startsWith('169.254.') ||
    host === '::1' ||
    /^f[cd][0-9a-f]{2}:/.test(host) ||
    host.startsWith('fe80:')
  );
}
