/** What tests of the layers above may use: real drives of made-up people in a temp folder. */
export { createTestBench, gossip, nodeId, person, seededRandom, send, text } from './test-support/people.ts';
export type { TestNode, TestPerson } from './test-support/people.ts';
