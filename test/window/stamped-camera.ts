/**
 * A camera whose pictures carry the time at which they were made, and what reads it from a player: 32 bits of milliseconds and
 * eight of a checksum as black and white blocks along the upper edge, large enough to survive 360p. Both sides of a test run on one
 * computer, so that they share a clock; the sensor of a camera and the screen are not in what is measured.
 */
import type { Page } from 'playwright-core';

/** Options of Chromium for a camera and a microphone without asking, and for playing without a click. */
export const mediaArgs = [
  '--use-fake-device-for-media-stream=fps=30',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
];

const common = `
  const blocks = 40;
  const crc8 = (value) => {
    let crc = 0;
    for (let shift = 24; shift >= 0; shift -= 8) {
      crc ^= (value >>> shift) & 0xff;
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : (crc << 1) & 0xff;
    }
    return crc;
  };
`;

/**
 * Puts the stamped camera in the place of the first one; the microphone stays Chromium's beeping one. `window.cameraTrouble` names the
 * error that opening it ends with, `window.cameras[n].unplug()` is what it says.
 */
export async function giveStampedCamera(page: Page, size: { width: number; height: number }): Promise<void> {
  await page.addInitScript(`(() => {
    ${common}
    const [width, height] = [${size.width}, ${size.height}];
    const media = navigator.mediaDevices;
    const original = media.getUserMedia.bind(media);
    window.cameras = [];
    media.getUserMedia = async (wanted) => {
      if (!wanted.video) return original(wanted);
      if (window.cameraTrouble) throw new DOMException('', window.cameraTrouble);
      const canvas = document.createElement('canvas');
      Object.assign(canvas, { width, height });
      const context = canvas.getContext('2d', { alpha: false });
      const block = width / blocks;
      let n = 0;
      const draw = () => {
        n += 1;
        context.fillStyle = '#26418f';
        context.fillRect(0, 0, width, height);
        for (let k = 0; k < 6; k += 1) {
          context.fillStyle = 'hsl(' + ((k * 60 + n) % 360) + ' 60% 55%)';
          context.beginPath();
          context.arc((width * (k + 0.5)) / 6, height * (0.55 + 0.3 * Math.sin(n / 20 + k)), height / 9, 0, 7);
          context.fill();
        }
        const time = Date.now() >>> 0;
        const check = crc8(time);
        for (let bit = 0; bit < blocks; bit += 1) {
          const set = bit < 32 ? (time >>> (31 - bit)) & 1 : (check >>> (39 - bit)) & 1;
          context.fillStyle = set ? '#fff' : '#000';
          context.fillRect(Math.floor(bit * block), 0, Math.ceil(block), Math.ceil(block));
        }
      };
      draw();
      const timer = setInterval(draw, 1000 / 30);
      const stream = canvas.captureStream(30);
      const [track] = stream.getVideoTracks();
      const stop = track.stop.bind(track);
      track.stop = () => { clearInterval(timer); stop(); };
      window.cameras.push({ track, unplug() { clearInterval(timer); stop(); track.dispatchEvent(new Event('ended')); } });
      return stream;
    };
  })()`);
}

export interface Seen {
  /** When the picture was drawn at the camera and shown here, ms since the epoch. */
  readonly made: number;
  readonly shown: number;
  /** Place in the stream, seconds. */
  readonly at: number;
}

/** Begins to read the stamps of the player's pictures. */
export async function readStamps(page: Page): Promise<void> {
  await page.evaluate(`(() => {
    ${common}
    window.seen = [];
    window.unreadable = 0;
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width: blocks * 8, height: 4 });
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const follow = (video) => {
      const look = (_, { mediaTime }) => {
        const shown = Date.now();
        const high = video.videoWidth / blocks;
        context.drawImage(video, 0, 0, video.videoWidth, high, 0, 0, canvas.width, canvas.height);
        const { data } = context.getImageData(0, 2, canvas.width, 1);
        let time = 0;
        let check = 0;
        for (let bit = 0; bit < blocks; bit += 1) {
          const set = data[(bit * 8 + 4) * 4 + 1] > 127 ? 1 : 0;
          if (bit < 32) time = ((time << 1) | set) >>> 0;
          else check = (check << 1) | set;
        }
        if (crc8(time) === check) {
          // The upper bits are those of now.
          const made = Math.floor(shown / 2 ** 32) * 2 ** 32 + time;
          window.seen.push({ made, shown, at: mediaTime });
        } else window.unreadable += 1;
        if (video.isConnected) video.requestVideoFrameCallback(look);
      };
      video.requestVideoFrameCallback(look);
    };
    // A player that is opened again is another element.
    let followed = null;
    const find = () => {
      const video = document.querySelector('video[data-live]');
      if (!video || video === followed) return;
      followed = video;
      follow(video);
    };
    find();
    new MutationObserver(find).observe(document, { childList: true, subtree: true });
  })()`);
}

export const seenBy = (page: Page): Promise<Seen[]> => page.evaluate('window.seen ?? []');
export const unreadableBy = (page: Page): Promise<number> => page.evaluate('window.unreadable ?? 0');
