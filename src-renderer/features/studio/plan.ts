import type { ProbeResult, VideoPlan } from './engine/messages.ts';

export type Family = ProbeResult['family'];
export const heights = [1080, 720, 480, 360] as const;
export type Height = (typeof heights)[number];

export interface Quality {
  readonly family: Family;
  readonly height: Height;
  readonly fps: 15 | 30 | 60;
  /** Bits a second of the pictures. */
  readonly bitrate: number;
  readonly second: boolean;
}

export const widthOf = (height: number): number => Math.round((height * 16) / 9 / 2) * 2;

/** What pictures of a size need to look well, bits a second (H.264; the others need less). */
export function usualBitrate(height: Height, fps: number, family: Family): number {
  const base = { 1080: 4_500_000, 720: 2_500_000, 480: 1_200_000, 360: 600_000 }[height];
  const rate = fps === 60 ? 1.5 : fps === 15 ? 0.65 : 1;
  const saved = family === 'h264' ? 1 : 0.75;
  return Math.round((base * rate * saved) / 50_000) * 50_000;
}

/** How much faster than needed an encoder has to be in a test with nothing beside it, for drawing and all the rest to fit in. */
const spare = 2.5;
const spareForSecond = 4;
/** Share of the measured uplink that one stream may take: it goes to several computers. */
const uplinkShare = 0.4;

/**
 * What this machine can do without dropping pictures, from how fast its encoders were in a test at 720p.
 * @param uplink measured, bits a second; null when nobody has measured it
 */
export function suggest(probed: readonly ProbeResult[], uplink: number | null): Quality {
  const speedOf = (family: Family): number => probed.find((one) => one.family === family)?.speed ?? 0;
  // H.264 plays everywhere; others only where it is missing.
  const family: Family = speedOf('h264') > 0 ? 'h264' : speedOf('vp9') >= speedOf('av1') ? 'vp9' : 'av1';
  const speed = speedOf(family);
  const at = (height: number): number => (speed * 720 * 1280) / (height * widthOf(height));
  const fits = (height: Height, fps: number): boolean => {
    const enough = uplink === null || usualBitrate(height, fps, family) <= uplink * uplinkShare;
    return at(height) >= fps * spare && enough;
  };
  // 1080p is offered, but not suggested: cameras that are worth it are rare, and so are uplinks.
  const height: Height = fits(720, 30) ? 720 : fits(480, 30) ? 480 : 360;
  const fps = fits(height, 30) ? 30 : 15;
  return {
    family,
    height,
    fps,
    bitrate: usualBitrate(height, fps, family),
    second: height >= 480 && at(height) >= fps * spareForSecond,
  };
}

/** H.264 constrained baseline, VP9 profile 0 or AV1 main, at the level that the size needs. */
export function codecOf(family: Family, height: Height, fps: number): string {
  const fast = fps > 30;
  if (family === 'h264') {
    const level = height === 1080 ? (fast ? '2a' : '28') : height === 720 ? (fast ? '20' : '1f') : '1e';
    return `avc1.42c0${level}`;
  }
  if (family === 'vp9') return `vp09.00.${height === 1080 ? '41' : height === 720 ? '31' : '30'}.08`;
  return `av01.0.${height === 1080 ? '09' : height === 720 ? '05' : '04'}M.08`;
}

/** The renditions of pictures, the best first. */
export function videosOf(quality: Quality): VideoPlan[] {
  const { family, height, fps } = quality;
  const one = (size: Height, bitrate: number): VideoPlan => ({
    id: `v${size}`,
    codec: codecOf(family, size, fps),
    width: widthOf(size),
    height: size,
    bitrate,
  });
  return [
    one(height, quality.bitrate),
    ...(quality.second && height > 360 ? [one(360, usualBitrate(360, fps, family))] : []),
  ];
}

/** What rates of a rendition have on top of what its encoders were told. */
export const soundSpare = 1.1;
export const pictureSpare = 1.3;

/** Bits a second that lists name for a rendition, of what its encoders are told to make. */
export const bandwidthOf = {
  picture: (bitrate: number, audioBitrate: number): number =>
    Math.round(bitrate * pictureSpare) + audioBitrate,
  sound: (audioBitrate: number): number => Math.round(audioBitrate * soundSpare),
};
