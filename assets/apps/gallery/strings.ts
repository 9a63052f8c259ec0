const en = {
  title: 'Gallery',
  addFolder: 'Add a folder',
  pickReason: 'The pictures in it are shown here.',
  welcome: 'Your pictures, from your own folders',
  welcomeText:
    'Pick a folder of one of your drives. Its photos and videos appear here; nothing is copied or sent anywhere.',
  all: 'All',
  photos: 'Photos',
  videos: 'Videos',
  albums: 'Albums',
  library: 'Library',
  empty: 'No photos or videos in this folder yet.',
  missing: 'This folder is not here at the moment.',
  share: 'Share album',
  shareTitle: 'Share “{name}” by a link',
  shareText:
    'Whoever has the link can join the album with ExtraChain and see its pictures, also those that come later.',
  makeLink: 'Make a link',
  copy: 'Copy',
  copied: 'Copied',
  close: 'Close',
  previous: 'Previous',
  next: 'Next',
  place: '{n} of {all}',
  loading: 'Looking through the folder',
  failed: 'This did not work: {why}',
  noPreview: 'This picture can not be shown.',
  pictures: '{n} pictures',
  onePicture: '1 picture',
  outside: 'Open this page from ExtraChain.',
};
export type Words = typeof en;

const de: Words = {
  title: 'Galerie',
  addFolder: 'Ordner hinzufügen',
  pickReason: 'Die Bilder darin werden hier gezeigt.',
  welcome: 'Deine Bilder, aus deinen eigenen Ordnern',
  welcomeText:
    'Wähle einen Ordner eines deiner Laufwerke. Seine Fotos und Videos erscheinen hier; nichts wird kopiert oder verschickt.',
  all: 'Alle',
  photos: 'Fotos',
  videos: 'Videos',
  albums: 'Alben',
  library: 'Mediathek',
  empty: 'In diesem Ordner sind noch keine Fotos oder Videos.',
  missing: 'Dieser Ordner ist im Moment nicht hier.',
  share: 'Album teilen',
  shareTitle: '„{name}“ mit einem Link teilen',
  shareText:
    'Wer den Link hat, kann dem Album mit ExtraChain beitreten und seine Bilder sehen, auch die, die noch dazukommen.',
  makeLink: 'Link erstellen',
  copy: 'Kopieren',
  copied: 'Kopiert',
  close: 'Schließen',
  previous: 'Zurück',
  next: 'Weiter',
  place: '{n} von {all}',
  loading: 'Der Ordner wird durchgesehen',
  failed: 'Das hat nicht geklappt: {why}',
  noPreview: 'Dieses Bild kann nicht gezeigt werden.',
  pictures: '{n} Bilder',
  onePicture: '1 Bild',
  outside: 'Öffne diese Seite aus ExtraChain.',
};

export const language = navigator.language.startsWith('de') ? 'de' : 'en';
/** How dates are written: as the person's language has it where they live. */
export const locale = navigator.language.startsWith(language) ? navigator.language : language;
export const words: Words = language === 'de' ? de : en;

/** A sentence with its gaps filled. */
export const say = (text: string, values: Readonly<Record<string, string | number>>): string =>
  text.replace(/\{(\w+)\}/g, (gap, name: string) => String(values[name] ?? gap));
