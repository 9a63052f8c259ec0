/**
 * Loaded into a daemon with `NODE_OPTIONS=--import=...` by negative controls; never part of the product. What
 * `EXTRACHAIN_STREAMS_WITHOUT` names (`backups` or `repeaters`) is left out of its streams.
 */
import { registerHooks } from 'node:module';

const without = process.env['EXTRACHAIN_STREAMS_WITHOUT'];
const begins = 'createStreams({';

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (without === undefined || !url.endsWith('/src-main/node/stream/stream-services.ts')) return loaded;
    const source =
      typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString();
    if (!source.includes(begins)) throw new Error('the streams of a node begin elsewhere by now');
    return { ...loaded, source: source.replace(begins, `${begins} without: ${JSON.stringify(without)},`) };
  },
});
