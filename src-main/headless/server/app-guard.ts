/** The WebSocket subprotocol of the provider; the page's secret comes as a second one, `token.<secret>`. */
export const appSubprotocol = 'extrachain.app.1';

/**
 * Which app's origin a Host header names: an app id under `localhost`, at this port. Nothing else is one, so that no name of the
 * outside world that is pointed at this computer reaches an app.
 */
export function appOfHost(header: string | undefined, port: number): string | null {
  const match = /^([a-z2-7]{52})\.localhost:(\d{1,5})$/i.exec(header ?? '');
  return match && Number(match[2]) === port ? match[1]!.toLowerCase() : null;
}

/** Whether an upgrade comes from a page of that very app. Programs, which send no Origin, have their own ways in. */
export function isOwnOrigin(origin: string | undefined, appId: string, port: number): boolean {
  return origin === `http://${appId}.localhost:${port}`;
}
