/** `--check-validity`: are all paths valid? */
import { printStorePath } from "../../formats/store-path.ts";
import { InvalidPath } from "../../store/path-info.ts";
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import type { OperationContext } from "./operation.ts";
import { printPaths } from "./print-paths.ts";

export async function checkValidity({ session, line, operands }: OperationContext): Promise<number> {
  await withStore(session, (store) => {
    const paths = operands.map((operand) => followToStorePath(store.storeDir, operand));
    const valid = store.queryValidPaths(paths);
    const invalid = paths.filter((path) => !valid.has(path));
    if (line.has("print-invalid")) printPaths(session.io, store.storeDir, invalid);
    else if (invalid.length > 0) throw new InvalidPath(printStorePath(store.storeDir, invalid[0]!));
  });
  return 0;
}
