/** What builds and fetches for a store: for the local one the scheduler with its helpers, put together; else the daemon. */
import type { FailureLog } from "../build/build-run.ts";
import { hookProgram } from "../build/hook-program.ts";
import { localBuildService } from "../build/local-build-service.ts";
import { fromText } from "../formats/byte-string.ts";
import { builderRunner } from "../sandbox/run-builder.ts";
import type { BuildService } from "../store/build-service.ts";
import { remoteBuilders } from "./remote-builders.ts";
import { remoteSubstituters } from "./remote-substituters.ts";
import { isSshStore } from "../remote/store-uri.ts";
import type { Environment } from "../store/directories.ts";
import type { LocalStore } from "../store/local-store.ts";
import type { Substituter } from "../store/substituter.ts";
import { binaryCache } from "../substitute/binary-cache.ts";
import { substituterProgram, substituterPrograms } from "../substitute/substituter-program.ts";

export interface BuildServiceOptions {
  readonly env: Environment;
  readonly failureLog: FailureLog;
  readonly buildTrace: "printed" | "not-printed";
}

export interface OpenBuildService extends BuildService {
  /** Ends the helper programs. */
  close(): void;
}

export function openBuildService(store: LocalStore, options: BuildServiceOptions): OpenBuildService {
  const { env, failureLog, buildTrace: trace } = options;
  const substituters = openSubstituters(store, env);
  const program = env["NIX_BUILD_HOOK"];
  const hook = program ? hookProgram(store, { program: fromText(program), env, trace }) : remoteBuilders(store, env);
  const service = localBuildService({
    store,
    runBuilder: builderRunner({ warn: (text) => store.reporter.message("warning", `warning: ${fromText(text)}`) }),
    substituters,
    hook,
    options: { callerEnv: env, failureLog, trace },
  });
  return {
    ...service,
    close() {
      hook?.close();
      for (const substituter of substituters) substituter.close();
    },
  };
}

/** The programs that the environment names, or the caches of the setting `substituters`. */
function openSubstituters(store: LocalStore, env: Environment): Substituter[] {
  const programs = substituterPrograms(env);
  if (programs !== undefined) return programs.map((program) => substituterProgram(store, program, env));
  if (!store.settings.get("substitute")) return [];
  const caches = store.settings.get("substituters").flatMap((url) => {
    if (/^(https?|file):\/\//.test(url)) return binaryCache(store, url);
    if (isSshStore(url)) return [];
    store.reporter.message("warning", `warning: ignoring substituter '${url}': it is no binary cache`);
    return [];
  });
  return [...caches, ...remoteSubstituters(store, env)].sort((a, b) => a.priority - b.priority);
}
