/** Whether a build is isolated, and what of the machine it sees then: the settings of the sandbox, applied to a derivation. */
import type { ByteString } from "../formats/byte-string.ts";
import { type BasicDerivation, isFixedOutput } from "../formats/derivation/derivation.ts";
import { canonicalPath } from "../formats/settings/canonical-path.ts";
import { isInStore, type StorePath, toStorePath } from "../formats/store-path.ts";
import type { Isolation, SandboxPath } from "../store/builder-runner.ts";
import { computeClosure } from "../store/closure.ts";
import { type LocalStore, realPath, showPath } from "../store/local-store.ts";
import { queryValidPaths } from "../store/queries.ts";
import { exists } from "../sys/names.ts";
import { BuildFailure } from "./build-failure.ts";
import type { DerivationAttributes } from "./derivation-attributes.ts";
import { type OutputPlan, usesScratchPaths } from "./output-plan.ts";

/** @throws BuildFailure for a derivation that refuses the sandbox where it is required */
export function decideIsolation(
  store: LocalStore,
  drvPath: StorePath,
  drv: BasicDerivation,
  attributes: DerivationAttributes,
): "sandbox" | "none" {
  const { settings } = store;
  const mode = settings.get("sandbox");
  const refuses = attributes.bool("__noChroot", "false");
  if (mode === true && refuses) {
    const reason = "but that's not allowed when 'sandbox' is 'true'";
    fail(`derivation '${showPath(store, drvPath)}' has '__noChroot' set, ${reason}`);
  }
  // Builders name the logical directory, which is not there: only a sandbox can show them the store under that name.
  if (store.storeDir !== store.realStoreDir) return "sandbox";
  if (mode === true) return "sandbox";
  return mode === "relaxed" && !refuses && !isFixedOutput(drv) ? "sandbox" : "none";
}

/** Without a sandbox a builder that looks for its home must not find one. @throws BuildFailure */
export function refuseHomelessShelter(): void {
  const home = "/homeless-shelter";
  if (exists(home)) {
    fail(`home directory '${home}' exists; please remove it to assure purity of builds without sandboxing`);
  }
}

/** @param inputs the closure of the derivation's inputs @param hookPaths what the pre-build hook adds */
export function planSandbox(
  store: LocalStore,
  drvPath: StorePath,
  drv: BasicDerivation,
  attributes: DerivationAttributes,
  plan: OutputPlan,
  inputs: readonly StorePath[],
  hookPaths: readonly SandboxPath[],
): Isolation {
  const { settings } = store;
  const extraPaths = [
    ...settings.get("sandbox-paths").map(parseSandboxPath),
    ...impureHostPaths(store, drvPath, attributes),
    ...hookPaths,
  ];
  const own = new Set(plan.outputs.map(({ path }) => path));
  const resultByInside = new Map(plan.outputs.map(({ inside, result }) => [inside, result]));
  const shown = new Set([...inputs, ...closuresOf(store, extraPaths)]);
  return {
    kind: "sandbox",
    rootDir: sandboxRoot(store, drvPath),
    buildDirInside: settings.get("sandbox-build-dir"),
    network: isFixedOutput(drv) ? "host" : "private",
    storeDir: store.storeDir,
    realStoreDir: store.realStoreDir,
    inputs: [...shown].filter((path) => !own.has(path)).sort(),
    outputs: plan.outputs.map(({ inside }) => inside),
    ...(usesScratchPaths(plan) && {
      outputDestination: (output: StorePath) => realPath(store, resultByInside.get(output) ?? output),
    }),
    extraPaths,
    devShmSize: settings.get("sandbox-dev-shm-size"),
    kvm: (settings.get("system-features") as readonly string[]).includes("kvm") ? "show" : "hide",
    // Without a sandbox the builder would find, and change, what it is not to see.
    ifImpossible: settings.get("sandbox-fallback") && !usesScratchPaths(plan) ? "run-unsandboxed" : "fail",
  };
}

export function sandboxRoot(store: LocalStore, drvPath: StorePath): string {
  return `${realPath(store, drvPath)}.chroot`;
}

/** `PATH`, `TARGET=SOURCE`, each with a `?` behind when it may be missing. */
export function parseSandboxPath(text: ByteString): SandboxPath {
  const optional = text.endsWith("?");
  const paths = optional ? text.slice(0, -1) : text;
  const equals = paths.indexOf("=");
  const ifMissing = optional ? "skip" : "fail";
  if (equals < 0) return { target: paths, source: paths, ifMissing };
  return { target: paths.slice(0, equals), source: paths.slice(equals + 1), ifMissing };
}

/** A store path that is shown needs what it refers to. */
function closuresOf(store: LocalStore, paths: readonly SandboxPath[]): StorePath[] {
  const inStore = paths
    .filter(({ source }) => isInStore(store.storeDir, source))
    .map(({ source }) => toStorePath(store.storeDir, source));
  if (inStore.length === 0) return [];
  return computeClosure(store, queryValidPaths(store, inStore));
}

function impureHostPaths(store: LocalStore, drvPath: StorePath, attributes: DerivationAttributes): SandboxPath[] {
  const allowed = store.settings.get("allowed-impure-host-deps");
  return (attributes.strings("__impureHostDeps") ?? []).map((path) => {
    const canonical = canonicalPath(path);
    const isAllowed = allowed.some((prefix) => canonical === prefix || canonical?.startsWith(`${prefix}/`));
    if (canonical === undefined || !isAllowed) {
      const reason = "but it was not in allowed-impure-host-deps";
      fail(`derivation '${showPath(store, drvPath)}' requested impure path '${path}', ${reason}`);
    }
    return { target: canonical, source: canonical, ifMissing: "skip" };
  });
}

function fail(message: string): never {
  throw new BuildFailure("misc-failure", message);
}
