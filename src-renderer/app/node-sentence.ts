import { useOnline } from '@vueuse/core';
import { computed } from 'vue';
import { useI18n } from 'vue-i18n';
import { useDrives } from '../stores/drives.ts';
import { useNode } from '../stores/node.ts';
import { useFormat } from '../ui/use-format.ts';
import type { Tone } from '../ui/states.ts';

/** How the node is, as one dot and one sentence. */
export function useNodeSentence() {
  const { t } = useI18n();
  const node = useNode();
  const drives = useDrives();
  const { span } = useFormat();
  const network = useOnline();

  return computed((): { tone: Tone; text: string } => {
    if (node.connection !== 'open') return { tone: 'problem', text: t('connection.lost') };
    const problem = drives.list.find((one) => one.state === 'stopped' || one.state === 'held');
    if (problem) return { tone: 'problem', text: t('sentence.problem', { name: problem.name }) };
    if (drives.isPaused) return { tone: 'wait', text: t('sentence.paused') };
    const busy = drives.list.filter(
      (one) =>
        one.state === 'syncing' || one.state === 'scanning' || (drives.progressOf(one.driveId) ?? 1) < 1,
    );
    const peers = node.status?.peers ?? 0;
    if (busy.length > 0) {
      const name = busy.length === 1 ? (busy[0]?.name ?? '') : t('sentence.drives', busy.length);
      const { done, total, down } = drives.flow;
      const left = down > 1000 && total > done ? (total - done) / down : 0;
      return left > 5
        ? { tone: 'sync', text: t('sentence.syncingLeft', { name, left: span(left) }) }
        : { tone: 'sync', text: t('sentence.syncing', { name }) };
    }
    const waiting = drives.list.find((one) => one.state === 'waiting');
    if (waiting) return { tone: 'wait', text: t('sentence.waiting', { name: waiting.name }) };
    const split = drives.list.find((one) => one.conflicts > 0);
    if (split) return { tone: 'conflict', text: t('sentence.conflict', { name: split.name }) };
    if (peers === 0 && !network.value) return { tone: 'online', text: t('sentence.offline') };
    if (peers === 0) return { tone: 'online', text: t('sentence.alone') };
    return { tone: 'step', text: t('sentence.inStep', { n: peers }, peers) };
  });
}
