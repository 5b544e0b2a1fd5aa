/** What the operands of a query stand for, with `--use-output` and `--force-realise`. */
import { UsageError } from "../../../error.ts";
import { knownOutputPath } from "../../../formats/derivation/derivation.ts";
import { compareBytes } from "../../../formats/byte-string.ts";
import { isDerivationPath, type StorePath } from "../../../formats/store-path.ts";
import { followToStorePath } from "../../path-argument.ts";
import { rootMaker } from "../add-root.ts";
import { derivationOf } from "../derivation-of.ts";
import { ensureValid, realise } from "../ensure-valid.ts";
import type { QueryContext } from "./query.ts";

/**
 * The paths to ask about, operand by operand; of a derivation its outputs, sorted, where these are wanted.
 * @throws (rejects) RealisationFailed
 */
export async function* targetsOf(context: QueryContext): AsyncGenerator<StorePath[]> {
  const { line } = context.operation;
  yield* chosenTargets(context, line.has("use-output") ? "outputs" : "paths");
}

/** Those of {@link targetsOf} together. */
export async function allTargets(context: QueryContext): Promise<StorePath[]> {
  return (await Array.fromAsync(targetsOf(context))).flat();
}

/** As {@link targetsOf}, whether `--use-output` is given or not. */
export async function* chosenTargets(
  { store, operands, operation }: QueryContext,
  choice: "outputs" | "paths",
): AsyncGenerator<StorePath[]> {
  const { session, line } = operation;
  const force = line.has("force-realise");
  const roots = force ? rootMaker(operation, store) : undefined;
  for (const operand of operands) {
    const path = followToStorePath(store.storeDir, operand);
    const results = force ? await realise(session, store, path) : undefined;
    if (results !== undefined) roots!.add(results);
    if (choice === "paths" || !isDerivationPath(path)) yield [path];
    else if (results !== undefined) yield results.map((each) => each.path).sort(compareBytes);
    else {
      await ensureValid(session, store, path);
      yield outputsOf(store, path);
    }
  }
}

function outputsOf(store: QueryContext["store"], drvPath: StorePath): StorePath[] {
  const paths: StorePath[] = [];
  for (const output of derivationOf(store, drvPath).outputs.values()) {
    const path = knownOutputPath(output);
    if (path === undefined) {
      throw new UsageError(
        "Cannot use output path of floating content-addressed derivation until we know what it is (e.g. by building it)",
      );
    }
    paths.push(path);
  }
  return [...new Set(paths)].sort(compareBytes);
}
