/** Words of a talk beside something, in the languages of the apps. */
export const talkWords = {
  en: {
    title: 'Chat',
    write: 'Say something',
    send: 'Send',
    nothing: 'Nobody has said anything yet.',
    looking: 'Looking for the room…',
    closed:
      'There is no room here now. It opens when its host has Chat open, with rooms for other apps switched on.',
    you: 'you',
    failed: 'This was not said:',
  },
  de: {
    title: 'Chat',
    write: 'Etwas sagen',
    send: 'Senden',
    nothing: 'Hier hat noch niemand etwas gesagt.',
    looking: 'Raum wird gesucht …',
    closed:
      'Gerade gibt es hier keinen Raum. Er öffnet sich, wenn der Gastgeber Chat offen und Räume für andere Apps eingeschaltet hat.',
    you: 'du',
    failed: 'Das wurde nicht gesagt:',
  },
} as const satisfies Readonly<Record<'en' | 'de', Readonly<Record<string, string>>>>;

export type TalkWords = Readonly<Record<keyof (typeof talkWords)['en'], string>>;
