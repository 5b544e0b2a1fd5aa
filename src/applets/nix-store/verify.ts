/** `--verify` and `--verify-path`: is the store what the database says? */
import { createHash } from "../../node-crypto.ts";
import { SiloError } from "../../error.ts";
import { equalHashes, type Hash, printHash } from "../../formats/hash.ts";
import { printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { Store } from "../../store/store.ts";
import type { Verdict } from "../../store/verify.ts";
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import type { Session } from "../session.ts";
import { withBuilds } from "../store-builds.ts";
import type { OperationContext } from "./operation.ts";
import { refuseOperands } from "./operation-usage.ts";

export async function verify({ session, line, operands }: OperationContext): Promise<number> {
  refuseOperands(operands);
  const { reporter } = session;
  const activity = reporter.start({ kind: "verify-paths", level: "info", text: "" });
  const verdict = await withStore(session, async (store) => {
    const broken: StorePath[] = [];
    const found = store.verify({
      contents: line.has("check-contents") ? "hash-contents" : "existence-only",
      // Repairing waits for others, which this walk over the store does not: it notes what there is to do.
      repair: line.has("repair") ? (path) => void broken.push(path) : undefined,
      onPath: (_, done, expected) => activity.result({ kind: "progress", done, expected, running: 1, failed: 0 }),
    });
    const left = broken.length === 0 ? "good" : await repair(session, store, broken);
    return left === "good" ? found : left;
  });
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

function repair(session: Session, store: Store, paths: readonly StorePath[]): Promise<Verdict> {
  return withBuilds(session, store, async (builds, signal) => {
    let verdict: Verdict = "good";
    for (const path of paths) {
      try {
        await builds.repairPath(path, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof SiloError)) throw error;
        session.reporter.message("error", `error: ${error.message}`);
        verdict = "errors";
      }
    }
    return verdict;
  });
}
