/** Builders that run in this process and do what a test says: a scheduler that starts no processes. */
import { writeFileSync } from "node:fs";
import type { BuilderExit, BuilderRunner, BuilderSpec } from "../../src/store/builder-runner.ts";
import { localBuildService } from "../../src/build/local-build-service.ts";
import type { BuildService } from "../../src/store/build-service.ts";
import type { LocalStore } from "../../src/store/local-store.ts";
import type { BuildHelpers } from "../../src/build/build-run.ts";

export interface PretendedBuilds {
  readonly runner: BuilderRunner;
  /** Names of the derivations, in the order of their builds. */
  readonly started: string[];
  /** At the same time. */
  mostRunning: number;
}

/** What a builder does; without one it writes its outputs. */
export type Pretend = (spec: BuilderSpec, onLog: (bytes: Uint8Array) => void) => BuilderExit | Promise<BuilderExit>;

export function pretendedBuilds(pretend: Pretend = writeOutputs): PretendedBuilds {
  let running = 0;
  const builds: PretendedBuilds = {
    started: [],
    mostRunning: 0,
    runner(spec, onLog) {
      builds.started.push(spec.drvPath.slice(33, -4));
      builds.mostRunning = Math.max(builds.mostRunning, ++running);
      let kill: (exit: BuilderExit) => void = () => {};
      const killed = new Promise<BuilderExit>((resolve) => {
        kill = resolve;
      });
      const work = Promise.resolve().then(() => pretend(spec, onLog));
      const exited = Promise.race([work, killed]).finally(() => running--);
      return { pid: 1, exited, kill: () => kill({ kind: "signalled", signal: 9 }) };
    },
  };
  return builds;
}

export function outputsOf(spec: BuilderSpec): string[] {
  const names = (spec.env.get("outputs" as never) ?? "out").split(" ");
  return names.map((name) => spec.env.get(name as never)!).filter((path) => path !== undefined);
}

export function writeOutputs(spec: BuilderSpec): BuilderExit {
  for (const path of outputsOf(spec)) writeFileSync(path, spec.env.get("contents" as never) ?? "");
  return { kind: "exited", status: 0 };
}

export function serviceWith(store: LocalStore, helpers: Partial<BuildHelpers>): BuildService {
  return localBuildService({
    store,
    runBuilder: pretendedBuilds().runner,
    substituters: [],
    hook: undefined,
    options: { callerEnv: {}, failureLog: "none", trace: "not-printed" },
    ...helpers,
  });
}

export const never = new AbortController().signal;
