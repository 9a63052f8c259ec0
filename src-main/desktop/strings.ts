/** What tray, menus, dialogs and notifications say. The window has its own texts. */
export interface Strings {
  readonly open: string;
  readonly pauseAll: string;
  readonly resumeAll: string;
  readonly quit: string;
  readonly about: string;
  readonly file: string;
  readonly edit: string;
  readonly view: string;
  readonly windowMenu: string;
  readonly help: string;
  readonly services: string;
  readonly hide: string;
  readonly hideOthers: string;
  readonly unhide: string;
  readonly closeWindow: string;
  readonly resetZoom: string;
  readonly zoomIn: string;
  readonly zoomOut: string;
  readonly fullScreen: string;
  readonly minimize: string;
  readonly zoom: string;
  readonly front: string;
  readonly undo: string;
  readonly redo: string;
  readonly cut: string;
  readonly copy: string;
  readonly paste: string;
  readonly delete: string;
  readonly selectAll: string;
  readonly stillRunning: string;
  readonly stillRunningMore: string;
  readonly alreadyRunning: string;
  readonly cannotStart: string;
  readonly chooseFolder: string;
  readonly shareScreen: string;
  readonly starting: string;
  readonly locked: string;
  readonly offline: string;
  readonly inStep: string;
  readonly paused: string;
  readonly looking: string;
  readonly needsYou: string;
  readonly uploadsRunning: string;
  readonly uploadsRunningMore: string;
  readonly stay: string;
  readonly leave: string;
  syncing(files: number): string;
  events(count: number): string;
}

const en: Strings = {
  open: 'Open ExtraChain',
  pauseAll: 'Pause all folders',
  resumeAll: 'Resume all folders',
  quit: 'Quit ExtraChain',
  about: 'About ExtraChain',
  file: 'File',
  edit: 'Edit',
  view: 'View',
  windowMenu: 'Window',
  help: 'Help',
  services: 'Services',
  hide: 'Hide ExtraChain',
  hideOthers: 'Hide Others',
  unhide: 'Show All',
  closeWindow: 'Close Window',
  resetZoom: 'Actual Size',
  zoomIn: 'Zoom In',
  zoomOut: 'Zoom Out',
  fullScreen: 'Full Screen',
  minimize: 'Minimise',
  zoom: 'Zoom',
  front: 'Bring All to Front',
  undo: 'Undo',
  redo: 'Redo',
  cut: 'Cut',
  copy: 'Copy',
  paste: 'Paste',
  delete: 'Delete',
  selectAll: 'Select All',
  stillRunning: 'ExtraChain is still running',
  stillRunningMore: 'Your folders stay in step. Open or quit it from its icon in the tray.',
  alreadyRunning: 'ExtraChain already runs on this data folder as a daemon. Stop that first.',
  cannotStart: 'ExtraChain could not start',
  chooseFolder: 'Choose a folder',
  shareScreen: 'Choose what to show',
  starting: 'Starting',
  locked: 'Locked',
  offline: 'Not connected',
  inStep: 'Everything is in step',
  paused: 'Paused',
  looking: 'Comparing folders',
  needsYou: 'Something needs you',
  uploadsRunning: 'Files are still being taken in',
  uploadsRunningMore:
    'What is not whole yet is dropped when the window closes. Your own copies stay as they are.',
  stay: 'Stay',
  leave: 'Close all the same',
  syncing: (files) => (files === 1 ? '1 file on its way' : `${files} files on their way`),
  events: (count) => `${count} new events`,
};

const de: Strings = {
  open: 'ExtraChain öffnen',
  pauseAll: 'Alle Ordner anhalten',
  resumeAll: 'Alle Ordner fortsetzen',
  quit: 'ExtraChain beenden',
  about: 'Über ExtraChain',
  file: 'Datei',
  edit: 'Bearbeiten',
  view: 'Ansicht',
  windowMenu: 'Fenster',
  help: 'Hilfe',
  services: 'Dienste',
  hide: 'ExtraChain ausblenden',
  hideOthers: 'Andere ausblenden',
  unhide: 'Alle einblenden',
  closeWindow: 'Fenster schließen',
  resetZoom: 'Originalgröße',
  zoomIn: 'Vergrößern',
  zoomOut: 'Verkleinern',
  fullScreen: 'Vollbild',
  minimize: 'Minimieren',
  zoom: 'Zoomen',
  front: 'Alle nach vorne bringen',
  undo: 'Rückgängig',
  redo: 'Wiederholen',
  cut: 'Ausschneiden',
  copy: 'Kopieren',
  paste: 'Einfügen',
  delete: 'Löschen',
  selectAll: 'Alles auswählen',
  stillRunning: 'ExtraChain läuft weiter',
  stillRunningMore: 'Deine Ordner bleiben auf dem neuesten Stand. Öffne oder beende es über sein Symbol.',
  alreadyRunning: 'ExtraChain läuft auf diesem Datenordner schon als Dienst. Beende ihn zuerst.',
  cannotStart: 'ExtraChain konnte nicht starten',
  chooseFolder: 'Ordner wählen',
  shareScreen: 'Was soll gezeigt werden?',
  starting: 'Startet',
  locked: 'Gesperrt',
  offline: 'Nicht verbunden',
  inStep: 'Alles auf dem neuesten Stand',
  paused: 'Angehalten',
  looking: 'Vergleicht Ordner',
  needsYou: 'Etwas braucht dich',
  uploadsRunning: 'Es werden noch Dateien übernommen',
  uploadsRunningMore:
    'Was noch nicht ganz da ist, wird beim Schließen verworfen. Deine eigenen Kopien bleiben, wie sie sind.',
  stay: 'Bleiben',
  leave: 'Trotzdem schließen',
  syncing: (files) => (files === 1 ? '1 Datei unterwegs' : `${files} Dateien unterwegs`),
  events: (count) => `${count} neue Ereignisse`,
};

export type Language = 'en' | 'de';
const all: Readonly<Record<Language, Strings>> = { en, de };

/**
 * @param chosen in the preferences; null: the system's
 * @param system a locale as the system names it, such as `de-AT`
 */
export function stringsFor(chosen: Language | null, system: string): Strings {
  return all[chosen ?? (system.toLowerCase().startsWith('de') ? 'de' : 'en')];
}
