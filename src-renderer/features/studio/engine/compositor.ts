import type { Box, Layer, SceneDrawing, TextLook } from './messages.ts';

type Picture = VideoFrame | ImageBitmap;
type Drawing = OffscreenCanvasRenderingContext2D;

const sizeOf = (picture: Picture): { width: number; height: number } =>
  'displayWidth' in picture
    ? { width: picture.displayWidth, height: picture.displayHeight }
    : { width: picture.width, height: picture.height };

/** The part of a picture that is shown, and where, so that it fills its place (`cover`) or lies within it (`contain`). */
export function place(
  from: { width: number; height: number },
  to: { x: number; y: number; width: number; height: number },
  fit: 'cover' | 'contain',
): { sx: number; sy: number; sw: number; sh: number; dx: number; dy: number; dw: number; dh: number } {
  const wide = to.width / from.width;
  const high = to.height / from.height;
  if (fit === 'contain') {
    const scale = Math.min(wide, high);
    const dw = from.width * scale;
    const dh = from.height * scale;
    return {
      ...{ sx: 0, sy: 0, sw: from.width, sh: from.height },
      ...{ dx: to.x + (to.width - dw) / 2, dy: to.y + (to.height - dh) / 2, dw, dh },
    };
  }
  const scale = Math.max(wide, high);
  const sw = to.width / scale;
  const sh = to.height / scale;
  return {
    ...{ sx: (from.width - sw) / 2, sy: (from.height - sh) / 2, sw, sh },
    ...{ dx: to.x, dy: to.y, dw: to.width, dh: to.height },
  };
}

const isWhole = ({ x, y, width, height }: Box): boolean =>
  x <= 0 && y <= 0 && x + width >= 1 && y + height >= 1;

/** Draws scenes from the newest pictures of their sources. */
export function createCompositor() {
  const pictures = new Map<string, Picture>();

  function drawText(context: Drawing, { x, y, width }: Box, text: TextLook, size: { w: number; h: number }) {
    const unit = size.h / 720;
    const title = Math.round(24 * unit);
    const line = Math.round(17 * unit);
    const pad = Math.round(18 * unit);
    const left = x * size.w;
    const top = y * size.h;
    const both = text.line !== '';
    const height = pad * 2 + title + (both ? line + Math.round(9 * unit) : 0);
    context.font = `600 ${title}px system-ui, sans-serif`;
    const titleWidth = context.measureText(text.title).width;
    context.font = `400 ${line}px system-ui, sans-serif`;
    const lineWidth = both ? context.measureText(text.line).width : 0;
    const broad = Math.min(width * size.w, Math.max(titleWidth, lineWidth) + pad * 2);
    context.fillStyle = 'rgb(16 14 24 / 0.72)';
    context.beginPath();
    context.roundRect(left, top, broad, height, 6 * unit);
    context.fill();
    context.fillStyle = text.colour;
    context.fillRect(left, top, Math.max(2, 4 * unit), height);
    context.fillStyle = '#fff';
    context.textBaseline = 'top';
    context.font = `600 ${title}px system-ui, sans-serif`;
    context.fillText(text.title, left + pad, top + pad, broad - pad * 2);
    if (both) {
      context.font = `400 ${line}px system-ui, sans-serif`;
      context.fillStyle = 'rgb(255 255 255 / 0.86)';
      context.fillText(text.line, left + pad, top + pad + title + Math.round(9 * unit), broad - pad * 2);
    }
  }

  function drawLayer(context: Drawing, layer: Layer, w: number, h: number): void {
    if (layer.kind === 'text') {
      drawText(context, layer.box, layer.text, { w, h });
      return;
    }
    const picture = pictures.get(layer.source);
    if (!picture) return;
    const { box } = layer;
    const to = { x: box.x * w, y: box.y * h, width: box.width * w, height: box.height * h };
    const { sx, sy, sw, sh, dx, dy, dw, dh } = place(sizeOf(picture), to, layer.fit);
    context.drawImage(picture, sx, sy, sw, sh, dx, dy, dw, dh);
  }

  return {
    /** Takes the newest picture of a source and closes the one before. */
    put(source: string, picture: Picture): void {
      pictures.get(source)?.close();
      pictures.set(source, picture);
    },
    forget(source: string): void {
      pictures.get(source)?.close();
      pictures.delete(source);
    },
    draw(context: Drawing, scene: SceneDrawing | undefined, width: number, height: number): void {
      context.fillStyle = '#0b0c0f';
      context.fillRect(0, 0, width, height);
      // What lies behind a picture that fills everything is not drawn.
      const layers = scene?.layers ?? [];
      const from = layers.findLastIndex(
        (layer) =>
          layer.kind === 'video' && layer.fit === 'cover' && isWhole(layer.box) && pictures.has(layer.source),
      );
      for (const layer of layers.slice(Math.max(0, from))) drawLayer(context, layer, width, height);
    },
    /** The one picture that is all of a scene in the right size, so that nothing has to be drawn; null otherwise. */
    whole(scene: SceneDrawing | undefined, width: number, height: number): VideoFrame | null {
      const [only, more] = scene?.layers ?? [];
      if (!only || more || only.kind !== 'video' || !isWhole(only.box)) return null;
      const picture = pictures.get(only.source);
      if (!picture || !('displayWidth' in picture)) return null;
      return picture.displayWidth === width && picture.displayHeight === height ? picture : null;
    },
  };
}
