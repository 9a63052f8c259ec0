import { setDefaultHighWaterMark } from 'node:stream';

/**
 * Settings of the whole process, called once by whoever hosts a node. Streams (sockets, files) move 256 KiB at a time: with the
 * runtime's 64 KiB, blocks of a mebibyte cost several times the wake-ups.
 */
export function tuneProcess(): void {
  setDefaultHighWaterMark(false, 256 * 1024);
}
