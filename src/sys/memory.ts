/**
 * Keeping a long run small: what reads thousands of things leaves as many behind, and the engine lets garbage grow with the
 * memory of the machine.
 */
import { runtime } from "#runtime";

/** A counter that has garbage collected once in so many steps. */
export function collectEvery(steps: number): (done?: number) => void {
  let left = steps;
  return (done = 1) => {
    left -= done;
    if (left > 0) return;
    left = steps;
    runtime.collectGarbage();
  };
}
