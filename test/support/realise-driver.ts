/**
 * Realising as a program of its own, with builders as plain processes: `realise-driver.ts [FLAG...] PATH...` on the store
 * that the environment names. Prints as nix-store --realise does.
 */
import { readFileSync } from "node:fs";
import {
  allOutputs,
  type DerivedPath,
  splitOutputsSpecifier,
  wantOutput,
} from "../../src/formats/derivation-outputs.ts";
import { fromText } from "../../src/formats/byte-string.ts";
import { isDerivationPath, parseFullStorePath } from "../../src/formats/store-path.ts";
import type { BuildMode } from "../../src/store/build-service.ts";
import { SiloError } from "../../src/error.ts";
import { printErrorText } from "../../src/build/build-failure.ts";
import { localBuildService } from "../../src/build/local-build-service.ts";
import { fromCommandLine } from "../../src/formats/settings/source.ts";
import { withSettings } from "../../src/formats/settings/settings.ts";
import { directoriesFromEnvironment } from "../../src/store/directories.ts";
import { loadSettings } from "../../src/store/load-settings.ts";
import { showPath } from "../../src/store/local-store.ts";
import { openLocalStore } from "../../src/store/open-local-store.ts";
import { queryDerivationOutputs } from "../../src/store/queries.ts";
import { plainRunner } from "./plain-runner.ts";

const args = process.argv.slice(2);
const settings: [string, string][] = [];
const paths: string[] = [];
let mode: BuildMode = "normal";
let logs: "shown" | "hidden" = "shown";
let trace: "printed" | "not-printed" = "not-printed";
for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
  if (arg === "--check") mode = "check";
  else if (arg === "--repair") mode = "repair";
  else if (arg === "-k") settings.push(["keep-going", "true"]);
  else if (arg === "-K") settings.push(["keep-failed", "true"]);
  else if (arg === "-Q") logs = "hidden";
  else if (arg === "--print-build-trace") trace = "printed";
  else if (arg.startsWith("-j")) settings.push(["max-jobs", arg.slice(2)]);
  else if (arg === "--option") settings.push([args.shift()!, args.shift()!]);
  else if (arg.startsWith("@")) paths.push(...readFileSync(arg.slice(1), "utf8").split("\n").filter(Boolean));
  else paths.push(arg);
}

async function main(): Promise<void> {
  const directories = directoriesFromEnvironment(process.env);
  const print = (text: string) => process.stderr.write(Buffer.from(`${text}\n`, "latin1"));
  const shown = new Set(["error", "warning", "notice", "info"]);
  const store = openLocalStore({
    ...directories,
    realStoreDir: directories.storeDir,
    settings: withSettings(
      loadSettings(process.env, directories).settings,
      settings.map(([name, value]) => ({ name: fromText(name), value: fromText(value), source: fromCommandLine })),
    ),
    reporter: {
      message: (level, text) => void (shown.has(level) && print(text)),
      start({ level, text }) {
        if (text !== "" && shown.has(level)) print(`${text}...`);
        return {
          result(result) {
            if (result.kind === "build-log-line" && logs === "shown") print(result.line);
          },
          stop() {},
        };
      },
    },
    access: "read-write",
  });
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => controller.abort());
  const service = localBuildService({
    store,
    runBuilder: plainRunner,
    substituters: [],
    hook: undefined,
    options: { callerEnv: process.env, failureLog: logs === "shown" ? "none" : "silo log", trace },
  });
  try {
    const targets = paths.map((text): DerivedPath => {
      const { path, outputs } = splitOutputsSpecifier(text);
      const storePath = parseFullStorePath(directories.storeDir, path);
      if (outputs === undefined && !isDerivationPath(storePath)) return { kind: "opaque", path: storePath };
      return { kind: "built", drvPath: storePath, outputs: outputs ?? allOutputs };
    });
    await service.buildPaths(targets, mode, controller.signal);
    for (const target of targets) {
      if (target.kind === "opaque") process.stdout.write(`${showPath(store, target.path)}\n`);
      else
        for (const [name, path] of queryDerivationOutputs(store, target.drvPath))
          if (wantOutput(name, target.outputs)) process.stdout.write(`${showPath(store, path)}\n`);
    }
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    print(printErrorText(error.message));
    process.exitCode = error.exitStatus;
  } finally {
    store.close();
  }
}

await main();
