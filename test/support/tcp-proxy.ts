import net from 'node:net';

/** A TCP proxy that counts what passes and can be cut: the tests' stand-in for a wire. */
export interface TcpProxy {
  readonly port: number;
  /** Bytes passed since the last `reset`: towards the target, and back. */
  bytes(): { readonly toTarget: number; readonly fromTarget: number };
  reset(): void;
  /** Ends all connections and refuses new ones until `mend`. */
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

/** Listens on `127.0.0.1` and forwards each connection to `target`. */
export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const sockets = new Set<net.Socket>();
  let toTarget = 0;
  let fromTarget = 0;
  let open = true;
  const server = net.createServer({ noDelay: true }, (client) => {
    if (!open) {
      client.destroy();
      return;
    }
    const upstream = net.connect({ ...target, noDelay: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (chunk) => (toTarget += chunk.length));
    upstream.on('data', (chunk) => (fromTarget += chunk.length));
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    open = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as net.AddressInfo).port,
    bytes: () => ({ toTarget, fromTarget }),
    reset: () => void (toTarget = fromTarget = 0),
    cut,
    mend: () => void (open = true),
    close: () =>
      new Promise((resolve) => {
        cut();
        server.close(() => resolve());
      }),
  };
}
