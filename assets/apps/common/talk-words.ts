/** Words of a talk beside something, in the languages of the apps. */
export const talkWords = {
  en: {
    title: 'Chat',
    write: 'Say something',
    send: 'Send',
    nothing: 'Nobody has said anything yet.',
    looking: 'Looking for the room…',
    closed:
      'There is no room here now. It opens once its host switches on rooms for other apps in Chat, and while their computer is on.',
    tipped: 'tip',
    saysTipped: 'tip, not checked here',
    showTip: 'See the payment',
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
      'Gerade gibt es hier keinen Raum. Er öffnet sich, sobald der Gastgeber in Chat Räume für andere Apps einschaltet und sein Computer an ist.',
    tipped: 'Trinkgeld',
    saysTipped: 'Trinkgeld, hier nicht geprüft',
    showTip: 'Zahlung ansehen',
    you: 'du',
    failed: 'Das wurde nicht gesagt:',
  },
} as const satisfies Readonly<Record<'en' | 'de', Readonly<Record<string, string>>>>;

export type TalkWords = Readonly<Record<keyof (typeof talkWords)['en'], string>>;
