/** `--add` and `--add-fixed`: files into the store. */
import { UsageError } from "../../error.ts";
import type { ByteString } from "../../formats/byte-string.ts";
import type { ContentAddressMethod } from "../../formats/content-address.ts";
import { recursiveSha256 } from "../../store/add.ts";
import { withStore } from "../open-store.ts";
import { absolutePath } from "../path-argument.ts";
import { parseAlgorithm } from "./algorithm.ts";
import type { OperationContext } from "./operation.ts";
import { printPaths } from "./print-paths.ts";

export function add(context: OperationContext): Promise<number> {
  return addFiles(context, recursiveSha256, context.operands);
}

export function addFixed(context: OperationContext): Promise<number> {
  const [algorithm, ...files] = context.operands;
  if (algorithm === undefined) throw new UsageError("first argument must be hash algorithm");
  const method = context.line.has("recursive") ? "recursive" : "flat";
  return addFiles(context, { kind: "fixed", method, hashAlgo: parseAlgorithm(algorithm) }, files);
}

async function addFiles(
  { session }: OperationContext,
  method: ContentAddressMethod,
  files: readonly ByteString[],
): Promise<number> {
  await withStore(session, (store) => {
    for (const file of files) {
      const path = store.addPath(absolutePath(file), { name: baseName(file), method });
      printPaths(session.io, store.storeDir, [path]);
    }
  });
  return 0;
}

/** As it is given: `.` has no better name. */
function baseName(file: string): string {
  const trimmed = file.replace(/\/+$/, "");
  return trimmed.slice(trimmed.lastIndexOf("/") + 1);
}
