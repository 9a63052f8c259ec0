export type * from './types.ts';
export { beginConsensus, defaultParams, proposerAt, reduce, tendermint } from './reducer.ts';
export { absenceWindow, absentMembers, proposerOf } from './proposer.ts';
export { haveOf, missingFor } from './have-want.ts';
export type { Have, Missing } from './have-want.ts';
export { emptyBlockWait } from './empty-blocks.ts';
