/** `--dump-db`: validity registrations, as `--load-db` reads them. */
import type { StorePath } from "../../formats/store-path.ts";
import { printRegistration } from "../../formats/validity-registration.ts";
import type { PathInfo } from "../../store/path-info.ts";
import type { Store } from "../../store/store.ts";
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import type { OperationContext } from "./operation.ts";

/** Paths of a whole database that are looked up at once. */
const batchSize = 1000;

export async function dumpDb({ session, operands }: OperationContext): Promise<number> {
  await withStore(session, (store) => {
    const infos =
      operands.length > 0
        ? operands.map((operand) => store.requirePathInfo(followToStorePath(store.storeDir, operand)))
        : allInfos(store);
    for (const { path, narHash, narSize, deriver, references } of infos) {
      const nar = { hash: narHash, size: narSize };
      const registration = { path, nar, deriver, references: new Set(references) };
      session.io.out(printRegistration(store.storeDir, "with-hash", registration));
    }
  });
  return 0;
}

/** Sorted by path. */
function* allInfos(store: Store): Generator<PathInfo> {
  const paths: StorePath[] = store.queryAllValidPaths();
  for (let from = 0; from < paths.length; from += batchSize) {
    yield* store.queryPathInfos(paths.slice(from, from + batchSize)).values();
  }
}
