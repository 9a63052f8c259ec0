/** What others learn or may do after a yes, by name: the window and the command line have words for each. */
export const disclosureNames = [
  'signInUser',
  'signInApp',
  'membersSeeAll',
  'membersLearnYou',
  'memberManages',
  'folderWrite',
  'folderRead',
  'linkWrites',
  'linkReads',
  'folderLearnsYou',
  'linkOpens',
  'linkLearnsYou',
  'serviceLearns',
  'websiteLearns',
  'streamPublic',
  'streamByLink',
  'streamShows',
  'ledgerShows',
] as const;
export type Disclosure = (typeof disclosureNames)[number];
