/* How values look in the contract. */

/** Lower-case hex. */
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
/** ISO 8601 in UTC. @param ms since 1970 */
export const iso = (ms: number): string => new Date(ms).toISOString();
