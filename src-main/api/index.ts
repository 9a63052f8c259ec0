export type { ByteSource, Node, NodeEvents, NodeOptions, NodeServices } from './node-services.ts';
