import { pino } from 'pino';
import type { Logger } from '../../src-shared/runtime.ts';

/** JSON lines on stderr, as the node writes them: the window opens before the node's code is loaded. */
export function createDesktopLog(): Logger {
  return pino(
    { level: 'warn', base: { part: 'desktop' }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: false }),
  );
}
