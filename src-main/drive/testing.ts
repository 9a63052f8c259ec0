/** What tests of the layers above may use: real drives of made-up people in a temp folder. */
export { createTestBench, gossip, person, seededRandom, send } from './test-support/people.ts';
export type { TestNode, TestPerson } from './test-support/people.ts';
