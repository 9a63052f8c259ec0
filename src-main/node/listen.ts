import net from 'node:net';

/** Where a node listens when nobody says otherwise: always the same port, so that a router can be told once. */
const usualPort = 4101;

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = net.createServer();
  server.once('error', () => resolve(false));
  server.listen(port, '::', () => server.close(() => resolve(true)));
  return promise;
}

/** The default multiaddrs to listen on; a port of the system's choice when the usual one is taken (a second node here). */
export async function defaultListen(): Promise<readonly string[]> {
  const port = (await isFree(usualPort)) ? usualPort : 0;
  return [`/ip4/0.0.0.0/tcp/${port}`, `/ip6/::/tcp/${port}`];
}
