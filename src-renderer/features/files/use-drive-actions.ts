import { useRouter } from 'vue-router';
import type { DriveMode, DriveSummary } from '../../../src-shared/contract/index.ts';
import { useLink } from '../../rpc/node-link.ts';
import { useFailure } from '../../ui/use-failure.ts';

/** What can be done with a drive as a whole on this computer. */
export function useDriveActions(drive: () => DriveSummary | null) {
  const link = useLink();
  const router = useRouter();
  const failure = useFailure();
  return {
    async togglePause() {
      const one = drive();
      if (!one) return;
      const input = { drive: one.driveId };
      try {
        await link.call((client) =>
          one.state === 'paused' ? client.drives.resume(input) : client.drives.pause(input),
        );
      } catch (error) {
        failure.tell(error);
      }
    },
    async setMode(mode: DriveMode) {
      const one = drive();
      if (!one) return;
      try {
        await link.call((client) => client.drives.setMode({ drive: one.driveId, mode }));
      } catch (error) {
        failure.tell(error);
      }
    },
    /** @throws AppError what the node refused it with */
    async leave() {
      const one = drive();
      if (one) await link.call((client) => client.drives.leave({ drive: one.driveId }));
      await router.push({ name: 'files', params: {} });
    },
  };
}
