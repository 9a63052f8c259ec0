import type uPlot from 'uplot';

/** A colour of the theme that is in force. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** What all charts have alike: no legend or cursor of the library's own, quiet lines, room for the words of the left axis. */
export function chartFrame(size: { width: number; height: number }): {
  readonly options: Pick<uPlot.Options, 'width' | 'height' | 'legend' | 'cursor' | 'padding'>;
  readonly x: uPlot.Axis;
  readonly y: uPlot.Axis;
} {
  const axis = {
    stroke: colour('--text-3'),
    grid: { stroke: colour('--grid'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui',
    gap: 4,
  };
  return {
    options: {
      ...size,
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 10, 0, 0],
    },
    x: { ...axis, grid: { show: false }, gap: 8, size: 26 },
    y: { ...axis, size: 76, space: 44 },
  };
}
