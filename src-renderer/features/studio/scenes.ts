import type { Box, Layer, SceneDrawing } from './engine/messages.ts';

/** A thing in a scene, from front to back. Pictures come from sources, which several scenes may share. */
export interface Item {
  readonly id: string;
  readonly kind: 'camera' | 'screen' | 'file' | 'image' | 'text';
  name: string;
  /** '' for text. */
  readonly source: string;
  box: Box;
  fit: 'cover' | 'contain';
  visible: boolean;
  title: string;
  line: string;
}

export interface Scene {
  readonly id: string;
  name: string;
  items: Item[];
}

export const whole: Box = { x: 0, y: 0, width: 1, height: 1 };

/** Places that are one choice away. */
export const placements: Readonly<
  Record<'whole' | 'topRight' | 'bottomRight' | 'bottomLeft' | 'left' | 'right', Box>
> = {
  whole,
  topRight: { x: 0.715, y: 0.06, width: 0.25, height: 0.25 },
  bottomRight: { x: 0.715, y: 0.69, width: 0.25, height: 0.25 },
  bottomLeft: { x: 0.035, y: 0.69, width: 0.25, height: 0.25 },
  left: { x: 0, y: 0, width: 0.5, height: 1 },
  right: { x: 0.5, y: 0, width: 0.5, height: 1 },
};

const least = 0.06;
const between = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Moves and sizes a place; it stays in the picture. */
export function moved(box: Box, by: { x?: number; y?: number; width?: number; height?: number }): Box {
  const width = between(box.width + (by.width ?? 0), least, 1);
  const height = between(box.height + (by.height ?? 0), least, 1);
  return {
    width,
    height,
    x: between(box.x + (by.x ?? 0), 0, 1 - width),
    y: between(box.y + (by.y ?? 0), 0, 1 - height),
  };
}

/** A scene as the worker draws it: from back to front, plain values, what is hidden left out. */
export function drawingOf(scene: Scene): SceneDrawing {
  const layers = scene.items
    .filter(({ visible }) => visible)
    .map((item): Layer => {
      const box = { ...item.box };
      return item.kind === 'text'
        ? { id: item.id, kind: 'text', box, text: { title: item.title, line: item.line, colour: '#f2a7c3' } }
        : {
            id: item.id,
            kind: item.kind === 'image' ? 'image' : 'video',
            source: item.source,
            box,
            fit: item.fit,
          };
    })
    .reverse();
  return { id: scene.id, layers };
}
