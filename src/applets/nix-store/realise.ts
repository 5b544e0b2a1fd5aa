/** `--realise`: makes paths valid, by building derivations and fetching what can be fetched, and prints the results. */
import { SiloError } from "../../error.ts";
import { compareBytes } from "../../formats/byte-string.ts";
import { allOutputs, type DerivedPath, splitOutputsSpecifier, wantOutput } from "../../formats/derivation-outputs.ts";
import { isDerivationPath, printStorePath, type StoreDir, type StorePath } from "../../formats/store-path.ts";
import type { ByteString } from "../../formats/byte-string.ts";
import type { BuildMode } from "../../store/build-service.ts";
import type { Store } from "../../store/store.ts";
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import { withBuilds } from "../store-builds.ts";
import { rootMaker } from "./add-root.ts";
import type { Realised } from "./ensure-valid.ts";
import { printMissing } from "./missing-paths.ts";
import type { OperationContext } from "./operation.ts";
import { printBuildFailure } from "./print-build-failure.ts";

class NotRealised extends SiloError {
  readonly code = "not-realised";
}

export async function realisePaths(operation: OperationContext): Promise<number> {
  const { session, line, operands } = operation;
  return withStore(session, (store) => {
    let targets = operands.map((operand) => parseTarget(store.storeDir, operand));
    const isDry = line.has("dry-run");
    if (modeOf(operation) === "normal" && areRealised(store, targets)) {
      if (!isDry && !line.has("ignore-unknown")) printResults(operation, store, targets);
      return 0;
    }
    return withBuilds(session, store, async (builds, signal) => {
      if (isDry || line.has("ignore-unknown") || session.settings.get("print-missing")) {
        const missing = await builds.queryMissing(targets);
        const ignored = new Set(line.has("ignore-unknown") ? missing.unknown : []);
        targets = targets.filter((target) => !ignored.has(pathOf(target)));
        if (session.settings.get("print-missing")) {
          printMissing(session.reporter, store, { ...missing, unknown: ignored.size > 0 ? [] : missing.unknown });
        }
      }
      if (isDry) return 0;
      try {
        await builds.buildPaths(targets, modeOf(operation), signal);
      } catch (error) {
        return printBuildFailure(session.reporter, error);
      }
      if (!line.has("ignore-unknown")) printResults(operation, store, targets);
      return 0;
    });
  });
}

/**
 * Is everything there that the targets want? Then it stays so while this process lives, and what builds, which takes longer to load
 * than most calls do, need not be. A daemon, where it is loaded, is better asked once to build.
 */
function areRealised(store: Store, targets: readonly DerivedPath[]): boolean {
  if (store.local === undefined) return false;
  const wanted: StorePath[] = [];
  for (const target of targets) {
    if (target.kind === "opaque") {
      wanted.push(target.path);
      continue;
    }
    const outputs = store.queryDerivationOutputs(target.drvPath);
    const names = target.outputs.kind === "all" ? [...outputs.keys()] : [...target.outputs.names];
    const paths = names.map((name) => outputs.get(name)).filter((path) => path !== undefined);
    if (paths.length === 0 || paths.length < names.length) return false;
    wanted.push(...paths);
  }
  store.addTempRoots(wanted);
  return store.queryValidPaths(wanted).size === new Set(wanted).size;
}

function modeOf({ line }: OperationContext): BuildMode {
  return line.has("check") ? "check" : line.has("repair") ? "repair" : "normal";
}

function parseTarget(dir: StoreDir, operand: ByteString): DerivedPath {
  const { path: text, outputs } = splitOutputsSpecifier(operand);
  const path = followToStorePath(dir, text as ByteString);
  if (outputs === undefined && !isDerivationPath(path)) return { kind: "opaque", path };
  return { kind: "built", drvPath: path, outputs: outputs ?? allOutputs };
}

function pathOf(target: DerivedPath): StorePath {
  return target.kind === "built" ? target.drvPath : target.path;
}

function printResults(operation: OperationContext, store: Store, targets: readonly DerivedPath[]): void {
  const roots = rootMaker(operation, store);
  for (const target of targets) {
    const lines = roots.add(resultsOf(store, target));
    if (operation.line.has("no-output")) continue;
    for (const result of lines.sort(compareBytes)) operation.session.io.out(Buffer.from(`${result}\n`, "latin1"));
  }
}

function resultsOf(store: Store, target: DerivedPath): Realised[] {
  if (target.kind === "opaque") {
    const shown = printStorePath(store.storeDir, target.path);
    if (!store.isValidPath(target.path)) throw new NotRealised(`path '${shown}' does not exist and cannot be created`);
    return [{ output: "out", path: target.path }];
  }
  return [...store.queryDerivationOutputs(target.drvPath)]
    .filter(([name]) => wantOutput(name, target.outputs))
    .map(([output, path]) => ({ output, path }));
}
