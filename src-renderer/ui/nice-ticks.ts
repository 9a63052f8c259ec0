/**
 * Round values for an axis.
 * @param low the least value drawn
 * @param high the greatest; not below `low`
 * @param parts about how many parts the axis gets
 * @returns two or more values, ascending, a step of 1, 2 or 5 times a power of ten apart: the first not above `low`, the last not below `high`
 */
export function niceTicks(low: number, high: number, parts = 3): readonly number[] {
  const span = high > low ? high - low : Math.abs(high) * 0.1 || 1;
  const rough = span / parts;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((one) => one * power >= rough * 0.999) ?? 10) * power;
  const first = Math.floor(low / step);
  const last = Math.max(first + 1, Math.ceil(high / step));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** Labels in as few characters as still tell them apart. @param text a value with at most so many digits that count */
export function tickLabels(
  ticks: readonly number[],
  text: (value: number, digits: number) => string,
): readonly string[] {
  for (let digits = 3; digits < 15; digits += 1) {
    const labels = ticks.map((tick) => text(tick, digits));
    if (new Set(labels).size === labels.length) return labels;
  }
  return ticks.map((tick) => text(tick, 15));
}
