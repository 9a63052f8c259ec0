/**
 * Loaded first into a daemon (`NODE_OPTIONS=--import`), in each of its threads: its wall clock is ahead by what the file named in
 * SHIFTED_CLOCK says (ms). So hours pass in a test when it says so, and timers run as ever.
 */
import { readFileSync } from 'node:fs';

const file = process.env['SHIFTED_CLOCK'];
const real = Date.now.bind(Date);
let shift = 0;
let readAt = Number.NEGATIVE_INFINITY;
Date.now = () => {
  const now = real();
  if (file && now - readAt >= 50) {
    readAt = now;
    // Torn or empty while it is written: the last value stands.
    shift = Number(readFileSync(file, 'utf8')) || shift;
  }
  return now + shift;
};
