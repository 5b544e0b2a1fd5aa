/** `--export`: store paths with their references, for `--import` elsewhere. */
import { writeAll } from "../../sys/descriptor.ts";
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import type { OperationContext } from "./operation.ts";
import { itemSigner } from "./signing-key.ts";

export async function exportToStdout({ session, line, operands }: OperationContext): Promise<number> {
  const signer = line.has("sign") ? itemSigner(session.directories.confDir) : undefined;
  await withStore(session, (store) => {
    const paths = operands.map((operand) => followToStorePath(store.storeDir, operand));
    const sorted = store.sortTopologically(paths);
    store.exportPaths(sorted, (chunk) => writeAll(session.io.stdoutFd, chunk), signer);
  });
  return 0;
}
