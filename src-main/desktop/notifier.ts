import type { Activity } from '../../src-shared/contract/index.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { NodeServices } from '../api/index.ts';
import type { ElectronParts } from './electron-parts.ts';
import { isWorthANotice, noticeOf } from './policy/notices.ts';
import type { Strings } from './strings.ts';

/** What happens within so long is told at once, ms. */
const gather = 5000;

/**
 * Tells the person what needs attention while the window is not looked at, grouped.
 * @returns ends it
 */
export function createNotifier(options: {
  readonly electron: Pick<ElectronParts, 'Notification'>;
  readonly node: NodeServices;
  readonly isWanted: () => boolean;
  readonly strings: () => Strings;
  readonly show: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}): () => void {
  const { electron, node, clock } = options;
  let waiting: Activity[] = [];
  let cancel: (() => void) | null = null;
  /** Electron lets go of what nobody holds, and with it of the click that is still to come. */
  let shown: InstanceType<ElectronParts['Notification']> | null = null;

  async function tell(): Promise<void> {
    cancel = null;
    const happened = waiting;
    waiting = [];
    if (!options.isWanted() || !electron.Notification.isSupported()) return;
    const drives = await node.drives.list({}, new AbortController().signal);
    const notice = noticeOf(
      happened,
      new Map(drives.map((one) => [one.driveId, one.name])),
      options.strings(),
    );
    if (!notice) return;
    shown = new electron.Notification(notice);
    shown.on('click', options.show);
    shown.show();
  }

  const end = node.events.on('activity', (activity) => {
    if (!isWorthANotice(activity)) return;
    waiting.push(activity);
    cancel ??= clock.after(gather, () => {
      tell().catch((error: unknown) => options.log.warn({ error: String(error) }, 'a notification failed'));
    });
  });
  return () => {
    end();
    cancel?.();
    shown = null;
  };
}
