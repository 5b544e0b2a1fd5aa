/** `--verify` and `--verify-path`: is the store what the database says? */
import { createHash } from "../../node-crypto.ts";
import { equalHashes, type Hash, printHash } from "../../formats/hash.ts";
import { printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { Store } from "../../store/store.ts";
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import type { Session } from "../session.ts";
import { CannotRealise } from "./ensure-valid.ts";
import type { OperationContext } from "./operation.ts";
import { refuseOperands } from "./operation-usage.ts";

export async function verify({ session, line, operands }: OperationContext): Promise<number> {
  refuseOperands(operands);
  const { reporter } = session;
  const activity = reporter.start({ kind: "verify-paths", level: "info", text: "" });
  const verdict = await withStore(session, (store) =>
    store.verify({
      contents: line.has("check-contents") ? "hash-contents" : "existence-only",
      repair: line.has("repair") ? (path) => repair(store, path) : undefined,
      onPath: (_, done, expected) => activity.result({ kind: "progress", done, expected, running: 1, failed: 0 }),
    }),
  );
  activity.stop();
  if (verdict === "good") return 0;
  reporter.message("warning", "warning: not all store errors were fixed");
  return 1;
}

export async function verifyPaths({ session, operands }: OperationContext): Promise<number> {
  return withStore(session, (store) => {
    let status = 0;
    for (const operand of operands) {
      const path = followToStorePath(store.storeDir, operand);
      if (verifyOne(session, store, path) === "modified") status = 1;
    }
    return status;
  });
}

function verifyOne({ reporter }: Session, store: Store, path: StorePath): "good" | "modified" {
  const shown = printStorePath(store.storeDir, path);
  reporter.message("talkative", `checking path '${shown}'...`);
  const { narHash } = store.requirePathInfo(path);
  const hasher = createHash(narHash.algo);
  store.dumpPath(path, (chunk) => void hasher.update(chunk));
  const actual: Hash = { algo: narHash.algo, bytes: new Uint8Array(hasher.digest()) };
  if (equalHashes(narHash, actual)) return "good";
  const [expected, found] = [printHash(narHash, "base32"), printHash(actual, "base32")];
  reporter.message("error", `path '${shown}' was modified! expected hash '${expected}', got '${found}'`);
  return "modified";
}

/** What would have to be fetched or built. @throws CannotRealise */
function repair(store: Store, path: StorePath): void {
  throw new CannotRealise(printStorePath(store.storeDir, path));
}
