export { createApprovals } from './approvals.ts';
export type { Approvals, Decision, Question } from './approvals.ts';
