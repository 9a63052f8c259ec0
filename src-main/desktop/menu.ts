import type { MenuItemConstructorOptions } from 'electron';
import type { Strings } from './strings.ts';

/**
 * The menu of the application. Its shortcuts are those every program has; the window's own are its own affair.
 * @param isPackaged tools of developers are offered in a checkout only
 */
export function menuTemplate(
  strings: Strings,
  host: { readonly platform: NodeJS.Platform; readonly isPackaged: boolean },
  actions: { readonly quit: () => void },
): MenuItemConstructorOptions[] {
  const quit: MenuItemConstructorOptions = {
    label: strings.quit,
    accelerator: 'CmdOrCtrl+Q',
    click: actions.quit,
  };
  const appMenu: MenuItemConstructorOptions = {
    label: 'ExtraChain',
    submenu: [
      { role: 'about', label: strings.about },
      { type: 'separator' },
      { role: 'services' },
      { type: 'separator' },
      { role: 'hide' },
      { role: 'hideOthers' },
      { role: 'unhide' },
      { type: 'separator' },
      quit,
    ],
  };
  const isMac = host.platform === 'darwin';
  return [
    ...(isMac ? [appMenu] : []),
    {
      label: strings.file,
      submenu: isMac ? [{ role: 'close' }] : [{ role: 'close' }, { type: 'separator' }, quit],
    },
    { label: strings.edit, role: 'editMenu' },
    {
      label: strings.view,
      submenu: [
        { role: 'resetZoom' },
        { role: 'zoomIn' },
        { role: 'zoomOut' },
        { type: 'separator' },
        { role: 'togglefullscreen' },
        ...(host.isPackaged
          ? []
          : ([{ type: 'separator' }, { role: 'reload' }, { role: 'toggleDevTools' }] as const)),
      ],
    },
    { label: strings.windowMenu, role: 'windowMenu' },
    ...(isMac ? [] : [{ label: strings.help, submenu: [{ role: 'about' as const, label: strings.about }] }]),
  ];
}
