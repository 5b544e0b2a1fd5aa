/** One line that says how far long operations are: `verifying: 120/3000, 12.3 MiB freed`. */
import type { Activity, ActivityKind, ActivityStart } from "../store/reporter.ts";

/** Often enough to be seen moving, seldom enough to cost nothing. */
const intervalMs = 50;

const verbs: Readonly<Partial<Record<ActivityKind, string>>> = {
  "copy-path": "copying",
  "copy-paths": "copying paths",
  "file-transfer": "downloading",
  builds: "building",
  "optimise-store": "optimising",
  "verify-paths": "verifying",
};

interface Running {
  readonly verb: string;
  done: number;
  expected: number;
  bytesFreed: number;
}

/** @param show draws the line; undefined takes it away */
export function progressLine(show: (line: string | undefined) => void): { start(start: ActivityStart): Activity } {
  const running = new Set<Running>();
  let lastMs = Number.NEGATIVE_INFINITY;

  function draw(when: "now" | "if-due"): void {
    const nowMs = performance.now();
    if (when === "if-due" && nowMs - lastMs < intervalMs) return;
    lastMs = nowMs;
    const parts = [...running].filter(({ expected, done }) => expected > 0 || done > 0).map(describe);
    show(parts.length === 0 ? undefined : parts.join(", "));
  }

  return {
    start({ kind }) {
      const verb = verbs[kind];
      if (verb === undefined) return { result() {}, stop() {} };
      const item: Running = { verb, done: 0, expected: 0, bytesFreed: 0 };
      running.add(item);
      return {
        result(result) {
          if (result.kind === "progress") {
            item.done = result.done;
            item.expected = result.expected;
          } else if (result.kind === "file-linked") item.bytesFreed += result.bytesFreed;
          else return;
          draw("if-due");
        },
        stop() {
          running.delete(item);
          draw("now");
        },
      };
    },
  };
}

function describe({ verb, done, expected, bytesFreed }: Running): string {
  const freed = bytesFreed > 0 ? `, ${(bytesFreed / 2 ** 20).toFixed(1)} MiB freed` : "";
  return expected > 0 ? `${verb}: ${done}/${expected}${freed}` : `${verb}: ${done}${freed}`;
}
