/** Size of a picture, and characters that a page's service answers with at most. */
const width = 384;
const height = 216;
const most = 60_000;
/** A film that shows nothing after so long, ms, has no picture. */
const patience = 10_000;

/** Waits for one of two events. @throws Error after `patience`, or when the video can't be played */
function happens(video: HTMLVideoElement, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('The film shows nothing.')), patience);
    const end = (settle: () => void) => (): void => {
      clearTimeout(timer);
      settle();
    };
    video.addEventListener(name, end(resolve), { once: true });
    video.addEventListener(
      'error',
      end(() => reject(new Error('This is no film.'))),
      { once: true },
    );
  });
}

/**
 * A picture of a film: a frame from its first tenth, where titles are over and the end is not told.
 * @param url on the page's own origin
 * @returns a data: URL; null for sound without pictures
 */
export async function frameOf(url: string): Promise<string | null> {
  const video = document.createElement('video');
  video.muted = true;
  video.preload = 'auto';
  try {
    const opened = happens(video, 'loadedmetadata');
    video.src = url;
    await opened;
    if (video.videoWidth === 0) return null;
    const seeked = happens(video, 'seeked');
    video.currentTime = Number.isFinite(video.duration) ? Math.min(video.duration / 10, 60) : 0.1;
    await seeked;
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    // As much of it as fills the picture, from the middle.
    const scale = Math.max(width / video.videoWidth, height / video.videoHeight);
    const [w, h] = [video.videoWidth * scale, video.videoHeight * scale];
    canvas.getContext('2d')!.drawImage(video, (width - w) / 2, (height - h) / 2, w, h);
    for (const quality of [0.75, 0.5, 0.25]) {
      const made = canvas.toDataURL('image/webp', quality);
      if (made.startsWith('data:image/webp') && made.length <= most) return made;
    }
    return null;
  } finally {
    video.removeAttribute('src');
    video.load();
  }
}
