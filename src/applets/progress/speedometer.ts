/** How fast a number grows: the mean of the last seconds, so that it can be read. */

const windowMs = 4000;
const spacingMs = 200;

export interface Speedometer {
  /** `total` is asked for when a reading is due. */
  add(nowMs: number, total: () => number): void;
  /** A second. */
  read(nowMs: number): number;
  reset(): void;
}

export function speedometer(): Speedometer {
  let readings: { readonly ms: number; readonly total: number }[] = [];
  return {
    add(nowMs, total) {
      const last = readings.at(-1);
      if (last !== undefined && nowMs - last.ms < spacingMs) return;
      readings.push({ ms: nowMs, total: total() });
      // One from before the window stays, to measure from.
      while (readings.length > 2 && readings[1]!.ms < nowMs - windowMs) readings.shift();
    },
    read(nowMs) {
      const first = readings[0];
      const last = readings.at(-1);
      if (first === undefined || last === undefined || nowMs - last.ms > windowMs) return 0;
      const ms = Math.max(nowMs, last.ms) - first.ms;
      return ms < spacingMs ? 0 : Math.max(0, ((last.total - first.total) / ms) * 1000);
    },
    reset() {
      readings = [];
    },
  };
}
