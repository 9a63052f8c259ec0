import { inject, provide } from 'vue';
import type { InjectionKey } from 'vue';

const paletteKey: InjectionKey<() => void> = Symbol('palette');

/** Lets every view open the command palette. */
export function providePalette(open: () => void): void {
  provide(paletteKey, open);
}
export function usePalette(): () => void {
  return inject(paletteKey, () => {});
}
