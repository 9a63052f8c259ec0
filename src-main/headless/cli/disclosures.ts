import type { Disclosure } from '../../../src-shared/apps/index.ts';

/** What others learn or may do after a yes. */
export const disclosures: Readonly<Record<Disclosure, string>> = {
  signInUser:
    'The app, and whoever it passes this on to, learns your user id and can prove that you signed in.',
  signInApp:
    'The app, and whoever it passes this on to, can prove that the account you have in this app signed in. It does not tell who you are.',
  membersSeeAll: 'They see everything that is in it, and who its members are.',
  memberManages: 'They can let in others and take members out.',
  membersLearnYou: 'They and the app on their computer learn your user id.',
  folderWrite: 'The app can read, change and delete everything in this folder.',
  folderRead: 'The app can read everything in this folder.',
  linkWrites: 'Whoever has the link can join, and read, change and delete what is in the folder.',
  linkReads: 'Whoever has the link can join and read what is in the folder.',
  folderLearnsYou: 'The members of the folder learn your user id.',
  linkOpens:
    'Whoever has the link can read everything that is in the folder now or comes into it later, without joining.',
  linkLearnsYou: 'They learn your user id. What somebody has read cannot be taken back.',
  serviceLearns: 'The service learns your user id and what is asked of it.',
  websiteLearns: 'The website learns your network address and whatever the app put into the link.',
  streamPublic: 'The stream stands in the public directory, under your user id.',
  streamByLink: 'Whoever has the link can watch, and learns your user id.',
  streamShows: 'The app decides what is shown in it.',
  ledgerShows: 'Everybody who reads the ledger sees that you paid this, to whom, and the note.',
};
