export { command, query, subscription } from './contract.ts';
export type { AnyEntry, Contract, Entry, InputOf, OutputOf, ParsedInputOf } from './contract.ts';
