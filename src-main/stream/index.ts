export type * from './types.ts';
export { limits, ticks } from './types.ts';
export { createStreams } from './streams.ts';
export type {
  AudienceChange,
  Ingest,
  Playback,
  StartOptions,
  StreamInfo,
  Streams,
  StreamsDeps,
  StreamsEvents,
} from './streams-types.ts';
export type { SessionStats } from './live/session-types.ts';
export type { Receipt, StreamAnnouncement } from './codec/records.ts';
export { readReceipt } from './codec/records.ts';
export { posterTypeOf } from './codec/poster.ts';
export { isEquivocation } from './chain-check.ts';
export type { Equivocation } from './chain-check.ts';
export { formatStreamLink, parseStreamLink } from './link-text.ts';
export type { StreamLink } from './link-text.ts';
export { createRecorder } from './recording/recorder.ts';
export type { Recorder } from './recording/recorder.ts';
export { finishRecording } from './recording/finish.ts';
export { openBox, sealBox } from './stream-keys.ts';
