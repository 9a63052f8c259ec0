export { isAttack, trustedFrom, verifyOld, verifyStep, verifyTo } from './verify.ts';
export type { LightBlock, LightRules, Trusted } from './verify.ts';
