/** Building a derivation on this machine: everything between having a slot and having the outputs registered. */
import { type ByteString, compareBytes } from "../formats/byte-string.ts";
import { type Derivation, isBuiltin, isFixedOutput } from "../formats/derivation/derivation.ts";
import type { StorePath } from "../formats/store-path.ts";
import { allSettings } from "../formats/settings/settings.ts";
import { plainText } from "../formats/plain-text.ts";
import type { BuildMode } from "../store/build-service.ts";
import type {
  BuilderExit,
  BuilderProgram,
  BuilderSpec,
  BuildUser,
  Isolation,
  SandboxPath,
} from "../store/builder-runner.ts";
import { showPath } from "../store/local-store.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { Activity } from "../store/reporter.ts";
import { statFileSystem } from "../sys/mount.ts";
import { exists } from "../sys/names.ts";
import { BuildFailure } from "./build-failure.ts";
import { type BuildDirectory, buildDirectoryParent, makeBuildDirectory } from "./build-directory.ts";
import { openBuildLog } from "./build-log.ts";
import { type BuildRun, type FailureLog, traceBuild } from "./build-run.ts";
import { builderEnvironment } from "./builder-environment.ts";
import { canBuildHere, type DerivationAttributes, requiredSystemFeatures } from "./derivation-attributes.ts";
import { LogWatch } from "./log-watch.ts";
import { deleteScratch, type OutputPlan, type OutputState, planOutputs } from "./output-plan.ts";
import { preBuildHookPaths } from "./pre-build-hook.ts";
import { printExit } from "./print-exit.ts";
import { referencesGraphFiles } from "./references-graph.ts";
import { registerOutputs } from "./register-outputs.ts";
import { rewriteString } from "./rewrites.ts";
import { runProgram } from "./run-program.ts";
import { decideIsolation, planSandbox, refuseHomelessShelter, sandboxRoot } from "./sandbox-plan.ts";
import { structuredFiles } from "./structured-attributes.ts";
import { superviseBuilder } from "./supervise-builder.ts";

/** A build that is about to start: inputs valid, outputs locked, a slot taken. */
export interface ReadyBuild {
  readonly drvPath: StorePath;
  readonly drv: Derivation;
  readonly attributes: DerivationAttributes;
  /** What Nix calls the goal when it is cut short. */
  readonly title: string;
  /** The closure of the inputs, sorted. */
  readonly inputs: readonly StorePath[];
  readonly states: ReadonlyMap<string, OutputState>;
  readonly mode: BuildMode;
}

/** The outputs that were registered, or in check mode compared. @throws BuildFailure, SystemError, Interrupted */
export async function buildHere(
  run: BuildRun,
  ready: ReadyBuild,
  user: BuildUser | undefined,
): Promise<Map<string, PathInfo>> {
  const { store } = run;
  const { drvPath, drv, attributes, mode } = ready;
  refuseForeignSystem(run, ready);
  const isolation = decideIsolation(store, drvPath, drv, attributes);
  if (isolation === "none") refuseHomelessShelter();
  const plan = planOutputs(store, drvPath, drv, ready.states, mode, isolation);
  const parent = buildDirectoryParent(store.settings.get("build-dir"), run.options.callerEnv);
  const directory = makeBuildDirectory(parent, drvPath, user);
  let keepDirectory = store.settings.get("keep-failed") && !isBuiltin(drv);
  try {
    const spec = prepareBuilder(run, ready, user, plan, directory, isolation);
    await runBuilder(run, ready, spec);
    const infos = registerOutputs({ ...ready, store, plan, user, buildDir: directory.path });
    await runPostBuildHook(run, drvPath, [...infos.values()]);
    keepDirectory = false;
    return infos;
  } finally {
    deleteScratch(store, plan);
    if (keepDirectory) {
      store.reporter.message("error", `note: keeping build directory '${directory.path}'`);
      directory.keep();
    } else directory.delete();
  }
}

function refuseForeignSystem(run: BuildRun, { drvPath, drv, attributes }: ReadyBuild): void {
  const { settings } = run.store;
  if (canBuildHere(settings, drv, attributes)) return;
  const shown = showPath(run.store, drvPath);
  traceBuild(run, `unsupported-platform ${shown} ${drv.system}`);
  const required = requiredSystemFeatures(attributes).join(", ");
  const own = settings.get("system-features").join(", ");
  throw new BuildFailure(
    "misc-failure",
    `a '${drv.system}' with features {${required}} is required to build '${shown}', but I am a '${settings.get("system")}' with features {${own}}`,
  );
}

function prepareBuilder(
  run: BuildRun,
  ready: ReadyBuild,
  user: BuildUser | undefined,
  plan: OutputPlan,
  directory: BuildDirectory,
  isolation: "sandbox" | "none",
): BuilderSpec {
  const { store } = run;
  const { drvPath, drv, attributes } = ready;
  const { settings } = store;
  const directoryInside = isolation === "sandbox" ? settings.get("sandbox-build-dir") : directory.path;
  const env = builderEnvironment(drv, attributes, {
    storeDir: store.storeDir,
    cores: settings.get("cores"),
    directory,
    directoryInside,
    rewrites: plan.toBuilder,
    callerEnv: run.options.callerEnv,
    impureEnv: settings.get("impure-env"),
  });
  writeInputFiles(run, ready, plan, directory, directoryInside, env);
  return {
    drvPath,
    program: builderProgram(drv, settings, plan),
    // As in Nix: some builders see the order.
    env: new Map([...env].sort(([a], [b]) => compareBytes(a, b))),
    buildDir: directory.path,
    system: drv.system,
    impersonateLinux26: settings.get("impersonate-linux-26"),
    user,
    isolation: isolation === "none" ? { kind: "none" } : planIsolation(run, ready, plan),
    filterSyscalls: settings.get("filter-syscalls"),
    allowNewPrivileges: settings.get("allow-new-privileges"),
  };
}

/** What derivations ask to find in the build directory, besides `passAsFile`. */
function writeInputFiles(
  { store }: BuildRun,
  { drv, attributes, inputs }: ReadyBuild,
  plan: OutputPlan,
  directory: BuildDirectory,
  directoryInside: string,
  env: Map<ByteString, ByteString>,
): void {
  const { structured } = attributes;
  const inputSet = new Set(inputs);
  if (structured === undefined) {
    const graphs = drv.env.get("exportReferencesGraph" as ByteString);
    if (graphs === undefined) return;
    for (const { name, contents } of referencesGraphFiles(store, graphs, inputSet)) {
      directory.write(name, Buffer.from(contents, "latin1"));
    }
    return;
  }
  const files = structuredFiles(store, drv, structured, inputSet, plan.toBuilder);
  for (const [name, variable, contents] of [
    [".attrs.sh", "NIX_ATTRS_SH_FILE", files.shell],
    [".attrs.json", "NIX_ATTRS_JSON_FILE", files.json],
  ] as const) {
    directory.write(name, contents);
    env.set(variable as string as ByteString, `${directoryInside}/${name}` as ByteString);
  }
}

function builderProgram(drv: Derivation, settings: BuildRun["store"]["settings"], plan: OutputPlan): BuilderProgram {
  if (!isBuiltin(drv)) {
    const args = drv.args.map((arg) => rewriteString(arg, plan.toBuilder));
    return { kind: "executable", path: drv.builder, args };
  }
  const attributes = new Map<ByteString, ByteString>();
  for (const [name, value] of drv.env) attributes.set(name, rewriteString(value, plan.toBuilder));
  return {
    kind: "builtin",
    name: drv.builder.slice("builtin:".length),
    attributes,
    downloads: {
      netrcFile: settings.get("netrc-file"),
      certificateFile: settings.get("ssl-cert-file"),
      hashedMirrors: settings.get("hashed-mirrors"),
      attempts: settings.get("download-attempts"),
      connectTimeoutSec: settings.get("connect-timeout"),
      userAgentSuffix: settings.get("user-agent-suffix"),
    },
  };
}

function planIsolation(
  { store }: BuildRun,
  { drvPath, drv, attributes, inputs }: ReadyBuild,
  plan: OutputPlan,
): Isolation {
  const hook = store.settings.get("pre-build-hook");
  const hookPaths: SandboxPath[] =
    hook === "" ? [] : preBuildHookPaths(hook, showPath(store, drvPath), sandboxRoot(store, drvPath));
  return planSandbox(store, drvPath, drv, attributes, plan, inputs, hookPaths);
}

/** Runs the builder to its end. @throws BuildFailure when that is not a good one */
async function runBuilder(run: BuildRun, ready: ReadyBuild, spec: BuilderSpec): Promise<void> {
  const { store, progress } = run;
  const { settings } = store;
  const { drvPath, mode } = ready;
  const shown = showPath(store, drvPath);
  const form = !settings.get("keep-build-log") ? "none" : settings.get("compress-build-log") ? "compressed" : "plain";
  const log = openBuildLog(store.logDir, drvPath, form);
  const activity = startBuildActivity(run, drvPath, mode, undefined);
  progress.builds.running++;
  progress.changed();
  const watch = new LogWatch(store.reporter, activity, settings.get("log-lines"), "builder");
  let exit: BuilderExit;
  try {
    traceBuild(run, `build-started ${shown} - ${spec.system} ${log.file}`);
    exit = await superviseBuilder(run, spec, ready.title, (chunk) => {
      log.write(chunk);
      watch.feed(chunk);
    });
  } finally {
    progress.builds.running--;
    progress.changed();
    watch.finish();
    activity.stop();
    log.close();
  }
  if (exit.kind === "exited" && exit.status === 0) return;
  throw failureOf(run, ready, spec, exit, watch.tail);
}

/** @param machine where it is built, when that is not here */
export function startBuildActivity(
  { store }: BuildRun,
  drvPath: StorePath,
  mode: BuildMode,
  machine: string | undefined,
): Activity {
  const shown = showPath(store, drvPath);
  const what = { normal: "building", repair: "repairing outputs of", check: "checking outputs of" }[mode];
  const where = machine === undefined ? "" : ` on '${machine}'`;
  return store.reporter.start({
    kind: "build",
    level: "info",
    text: `${what} '${shown}'${where}`,
    fields: [shown, machine ?? "", 1, 1],
  });
}

function failureOf(
  run: BuildRun,
  { drvPath, drv }: ReadyBuild,
  spec: BuilderSpec,
  exit: BuilderExit,
  tail: readonly ByteString[],
): BuildFailure {
  const shown = showPath(run.store, drvPath);
  if (exit.kind === "setup-failed") {
    // A builder that is not there or no program is the derivation's fault, all else ours.
    const status = exit.reason.startsWith(`executing '${drv.builder}'`) ? "permanent-failure" : "misc-failure";
    return new BuildFailure(status, `builder for '${shown}' failed to start: ${exit.reason}`);
  }
  const how = exit.kind === "exited" ? printExit(exit.status, null) : printExit(undefined, exit.signal);
  const isDiskFull = [run.store.realStoreDir, spec.buildDir].some(isNearlyFull);
  let message = `builder for '${shown}' ${how}`;
  message += printTail(run.options.failureLog, tail, shown);
  if (isDiskFull) message += "\nnote: build failure may have been caused by lack of free disk space";
  return new BuildFailure(isFixedOutput(drv) || isDiskFull ? "transient-failure" : "permanent-failure", message);
}

/** @param shown the derivation's full path */
export function printTail(failureLog: FailureLog, tail: readonly ByteString[], shown: string): string {
  if (failureLog === "none" || tail.length === 0) return "";
  const lines = tail.map((line) => `> ${plainText(line)}\n`).join("");
  return `;\nlast ${tail.length} log lines:\n${lines}For full logs, run '${failureLog} ${shown}'.`;
}

/** Bytes below which a failed build may have wanted more. */
const nearlyFull = 8 * 1024 * 1024;

function isNearlyFull(path: string): boolean {
  // A builder may have deleted the directory that it was given.
  return exists(path) && statFileSystem(path).available < nearlyFull;
}

async function runPostBuildHook(run: BuildRun, drvPath: StorePath, infos: readonly PathInfo[]): Promise<void> {
  const { store } = run;
  const hook = store.settings.get("post-build-hook");
  if (hook === "") return;
  const shown = showPath(store, drvPath);
  const activity = store.reporter.start({
    kind: "post-build-hook",
    level: "info",
    text: `running post-build-hook '${hook}'`,
    fields: [shown],
  });
  const config = allSettings(store.settings).map(([name, text]) => `${name} = ${text}\n`);
  try {
    const env = {
      ...run.options.callerEnv,
      DRV_PATH: shown,
      OUT_PATHS: infos.map(({ path }) => showPath(store, path)).join(" "),
      NIX_CONFIG: config.join(""),
    };
    await runProgram(hook, [], { env }, (line) => activity.result({ kind: "post-build-log-line", line }));
  } finally {
    activity.stop();
  }
}
