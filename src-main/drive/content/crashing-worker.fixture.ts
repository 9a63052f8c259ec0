import contentTask from './worker.ts';
import type { Task } from './messages.ts';

/** The content worker, except that its thread dies when it meets a file called `crash`. */
export default async function task(given: Task): Promise<unknown> {
  if (given.op === 'index' && given.inputs.some((input) => input.path.endsWith('crash'))) process.exit(3);
  return contentTask(given);
}
