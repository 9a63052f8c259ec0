export { createMessages } from './messages.ts';
export type { AppMessage, Messages } from './messages.ts';
export { createMessageRecords, messageLimits } from './records.ts';
export { decodeMessage, encodeMessage, maxMessageJson } from './codec.ts';
