import { pino } from 'pino';
import type { Logger } from '../../src-shared/runtime.ts';
import type { NodeOptions } from '../api/index.ts';

/**
 * JSON lines on stderr (stdout belongs to the command line's answers), written without blocking, and, from `info` on, in a
 * file: what somebody needs who is asked for help later.
 */
export function createLogger(
  level: NodeOptions['logLevel'],
  file: { write(line: string): void } | null = null,
): Logger {
  const options = { base: null, timestamp: pino.stdTimeFunctions.isoTime };
  const stderr = pino.destination({ dest: 2, sync: false });
  if (file === null || level === 'silent') return pino({ ...options, level }, stderr);
  const streams = [
    { level, stream: stderr },
    { level: 'info' as const, stream: file },
  ];
  const verbose = level === 'debug' ? level : 'info';
  return pino({ ...options, level: verbose }, pino.multistream(streams));
}
