// What the page says, in the language of the browser.

const english = {
  title: 'Open a shared drive',
  label: 'Link of a public or unlisted drive',
  open: 'Open',
  more: 'Show more',
  folders: 'Folders',
  preview: 'Preview',
  save: (name, size) => `Save ${name} (${size})`,
  saveShort: 'Save',
  close: 'Close',
  loading: 'Loading…',
  empty: 'This folder is empty.',
  cut: 'The file is longer: this is its beginning.',
  notShown: 'There is no preview of this kind of file. Save it to open it.',
  broken: 'This file cannot be shown now. Nobody who has it may be reachable.',
  public: 'Public',
  unlisted: 'For everybody with the link',
  note: 'Decrypted in this page: the key is in the part of the address that browsers do not send.',
  nothing:
    'There is nothing here that this link opens. It may be closed again, or have been changed on its way.',
  incomplete:
    'There is nothing here that this link opens. If it is for an unlisted drive, its end is missing: copy all of it.',
  noLink: 'This is not the link of a public or unlisted drive.',
  busy: 'Too many requests; wait a little and try again.',
  later: 'This cannot be had now; try again later.',
  insecure: 'This page decrypts by itself, which browsers allow over https (or on localhost) only.',
};

const german = {
  title: 'Freigegebenes Laufwerk öffnen',
  label: 'Link eines Laufwerks, das für alle oder mit Link geöffnet ist',
  open: 'Öffnen',
  more: 'Mehr anzeigen',
  folders: 'Ordner',
  preview: 'Vorschau',
  save: (name, size) => `${name} speichern (${size})`,
  saveShort: 'Speichern',
  close: 'Schließen',
  loading: 'Wird geladen …',
  empty: 'Dieser Ordner ist leer.',
  cut: 'Die Datei ist länger: Dies ist ihr Anfang.',
  notShown: 'Für diese Art von Datei gibt es keine Vorschau. Speichern Sie sie, um sie zu öffnen.',
  broken: 'Diese Datei lässt sich gerade nicht zeigen. Vielleicht ist niemand erreichbar, der sie hat.',
  public: 'Öffentlich',
  unlisted: 'Für alle mit dem Link',
  note: 'In dieser Seite entschlüsselt: Der Schlüssel steht in dem Teil der Adresse, den Browser nicht senden.',
  nothing:
    'Hier gibt es nichts, was dieser Link öffnet. Vielleicht gilt er nicht mehr oder wurde unterwegs verändert.',
  incomplete:
    'Hier gibt es nichts, was dieser Link öffnet. Ist das Laufwerk nur mit Link geöffnet, dann fehlt sein Ende: Kopieren Sie ihn ganz.',
  noLink: 'Das ist kein Link eines geöffneten Laufwerks.',
  busy: 'Zu viele Anfragen; warten Sie ein wenig.',
  later: 'Das ist gerade nicht zu haben; versuchen Sie es später noch einmal.',
  insecure: 'Diese Seite entschlüsselt selbst, was Browser nur über https (oder auf localhost) erlauben.',
};

export const language = navigator.language.startsWith('de') ? 'de' : 'en';
export const words = language === 'de' ? german : english;

const units = ['B', 'kB', 'MB', 'GB', 'TB'];
export function size(bytes) {
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const digits = step === 0 ? 0 : 1;
  const number = (bytes / 1000 ** step).toLocaleString(navigator.language, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${number} ${units[step]}`;
}

export const day = (ms) =>
  ms === null ? '' : new Date(ms).toLocaleDateString(navigator.language, { dateStyle: 'medium' });
