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
      { role: 'services', label: strings.services },
      { type: 'separator' },
      { role: 'hide', label: strings.hide },
      { role: 'hideOthers', label: strings.hideOthers },
      { role: 'unhide', label: strings.unhide },
      { type: 'separator' },
      quit,
    ],
  };
  const isMac = host.platform === 'darwin';
  const close: MenuItemConstructorOptions = { role: 'close', label: strings.closeWindow };
  return [
    ...(isMac ? [appMenu] : []),
    {
      label: strings.file,
      submenu: isMac ? [close] : [close, { type: 'separator' }, quit],
    },
    { label: strings.edit, submenu: editItems(strings) },
    {
      label: strings.view,
      submenu: [
        { role: 'resetZoom', label: strings.resetZoom },
        { role: 'zoomIn', label: strings.zoomIn },
        { role: 'zoomOut', label: strings.zoomOut },
        { type: 'separator' },
        { role: 'togglefullscreen', label: strings.fullScreen },
        ...(host.isPackaged
          ? []
          : ([{ type: 'separator' }, { role: 'reload' }, { role: 'toggleDevTools' }] as const)),
      ],
    },
    {
      label: strings.windowMenu,
      role: 'window',
      submenu: [
        { role: 'minimize', label: strings.minimize },
        ...(isMac
          ? ([
              { role: 'zoom', label: strings.zoom },
              { type: 'separator' },
              { role: 'front', label: strings.front },
            ] as const)
          : []),
      ],
    },
    ...(isMac ? [] : [{ label: strings.help, submenu: [{ role: 'about' as const, label: strings.about }] }]),
  ];
}

/** As Electron's own `editMenu`, in the language in use. */
function editItems(strings: Strings): MenuItemConstructorOptions[] {
  return [
    { role: 'undo', label: strings.undo },
    { role: 'redo', label: strings.redo },
    { type: 'separator' },
    { role: 'cut', label: strings.cut },
    { role: 'copy', label: strings.copy },
    { role: 'paste', label: strings.paste },
    { role: 'delete', label: strings.delete },
    { type: 'separator' },
    { role: 'selectAll', label: strings.selectAll },
  ];
}
