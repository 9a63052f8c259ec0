import { pino } from 'pino';
import type { Logger } from '../../src-shared/runtime.ts';
import type { NodeOptions } from '../api/index.ts';

/** JSON lines on stderr (stdout belongs to the command line's answers), written without blocking. */
export function createLogger(level: NodeOptions['logLevel']): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: false }),
  );
}
