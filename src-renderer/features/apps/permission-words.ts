import {
  Bell,
  Camera,
  Coins,
  Database,
  Folder,
  FolderPen,
  HandCoins,
  MessageSquare,
  Mic,
  Plug,
  Radio,
  Server,
  User,
  UserCheck,
  UserPlus,
  Video,
} from '@lucide/vue';
import type { Component } from 'vue';
import { useI18n } from 'vue-i18n';
import { isAboutFolder } from '../../../src-shared/apps/permissions.ts';
import type { Caveats, Grant, PermissionName, PermissionRequest } from '../../../src-shared/apps/index.ts';
import { useDrives } from '../../stores/drives.ts';
import { amountText } from '../../ui/token-amount.ts';
import { useFormat } from '../../ui/use-format.ts';

const icons: Readonly<Record<PermissionName, Component>> = {
  identity: User,
  'identity.shared': UserCheck,
  'drive.read': Folder,
  'drive.write': FolderPen,
  'drive.share': UserPlus,
  'streams.watch': Radio,
  'streams.publish': Video,
  'tokens.read': Coins,
  'tokens.spend': HandCoins,
  messages: MessageSquare,
  collections: Database,
  'services.call': Plug,
  'services.provide': Server,
  notifications: Bell,
  camera: Camera,
  microphone: Mic,
};

export interface PermissionWords {
  readonly icon: Component;
  readonly title: string;
  readonly detail: string;
}

/** What is not asked for, in the order in which it is said. */
const outOfReach = ['camera', 'microphone'] as const;

/** Permissions in plain words: what an app may do, and within which bounds. */
export function usePermissionWords() {
  const { t, locale: language } = useI18n();
  const { locale } = useFormat();
  const drives = useDrives();

  /** A folder as people call it: its drive, then the path. */
  function folder({ drive, path = '' }: Caveats): string | null {
    if (drive === undefined) return null;
    const name = drives.byId.get(drive)?.name ?? t('apps.folderGone');
    return [name, ...path.split('/').filter(Boolean)].join(', ');
  }
  function detail({ name, caveats }: { readonly name: PermissionName; readonly caveats: Caveats }): string {
    if (isAboutFolder(name)) return folder(caveats) ?? t('apps.may.folderText');
    if (caveats.perDay !== undefined) {
      const n =
        typeof caveats.perDay === 'number' ? caveats.perDay : amountText(caveats.perDay, locale.value);
      return caveats.symbol === undefined
        ? t('apps.may.perDay', { n })
        : t('apps.may.spendText', { n, symbol: caveats.symbol });
    }
    return t(`apps.may.text.${name.replace('.', '_')}`);
  }
  return {
    folder,
    words: (one: { readonly name: PermissionName; readonly caveats: Caveats }): PermissionWords => ({
      icon: icons[one.name],
      title: t(`apps.may.title.${one.name.replace('.', '_')}`),
      detail: detail(one),
    }),
    /** What the app can't do, as it asks for none of it. */
    cannot(asked: readonly PermissionRequest[]): string {
      const names = new Set(asked.map((one) => one.name));
      const parts = [
        t('apps.not.internet'),
        ...outOfReach.filter((one) => !names.has(one)).map((one) => t(`apps.not.${one}`)),
        t([...names].some(isAboutFolder) ? 'apps.not.otherFolders' : 'apps.not.folders'),
        t('apps.not.keys'),
      ];
      return t('apps.cannot', {
        list: new Intl.ListFormat(language.value, { type: 'disjunction' }).format(parts),
      });
    },
  };
}

/** Every app has it, and nobody can take it from an app that runs. */
export const isAlways = (name: PermissionName): boolean => name === 'identity';

/** What is granted for a request, with the folder a person picked for it. */
export function granted(
  { name, caveats }: PermissionRequest,
  folder: { readonly drive: string; readonly path: string } | null,
): Grant {
  return { name, caveats: isAboutFolder(name) && folder ? { ...caveats, ...folder } : { ...caveats } };
}
