const width = 640;
const height = 360;
/** What a stream's picture may take, bytes. */
const most = 64 * 1024;
const qualities = [0.82, 0.6, 0.4, 0.2] as const;

/** Fills a picture with another one, whose edges are cut off where the shapes differ. */
export function cover(
  target: OffscreenCanvasRenderingContext2D,
  picture: ImageBitmap,
  across: number,
  down: number,
): void {
  const scale = Math.max(across / picture.width, down / picture.height);
  const [w, h] = [picture.width * scale, picture.height * scale];
  target.drawImage(picture, (across - w) / 2, (down - h) / 2, w, h);
}

/**
 * A JPEG for the lists, small enough to go with what is said of a stream.
 * @param draw draws it; false: there is nothing
 */
export async function makeStill(
  draw: (target: OffscreenCanvasRenderingContext2D, width: number, height: number) => boolean,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { alpha: false });
  if (!context || !draw(context, width, height)) return null;
  for (const quality of qualities) {
    const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality });
    if (blob.size <= most) return new Uint8Array(await blob.arrayBuffer());
  }
  return null;
}
