/** `--print-fixed-path`: computing the path of something fixed from its hash; nothing is opened. */
import { UsageError } from "../../error.ts";
import { parseHash } from "../../formats/hash.ts";
import { makeFixedOutputPath } from "../../formats/make-store-path.ts";
import { storeLocation } from "../open-store.ts";
import { parseAlgorithm } from "./algorithm.ts";
import type { OperationContext } from "./operation.ts";
import { printPaths } from "./print-paths.ts";

export function printFixedPath({ session, line, operands }: OperationContext): number {
  const [algorithm, hash, name, ...others] = operands;
  if (algorithm === undefined || hash === undefined || name === undefined || others.length > 0) {
    throw new UsageError("'--print-fixed-path' requires three arguments");
  }
  const location = storeLocation(session);
  const { storeDir } = location.kind === "local" ? location.directories : session.directories;
  const method = line.has("recursive") ? "recursive" : "flat";
  const path = makeFixedOutputPath(storeDir, name, method, parseHash(hash, parseAlgorithm(algorithm)));
  printPaths(session.io, storeDir, [path]);
  return 0;
}
