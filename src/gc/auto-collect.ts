/**
 * Collecting by itself when the disk fills up: with fewer than `min-free` bytes available, garbage is collected until
 * there are `max-free`; looked at every `min-free-check-interval` seconds at most.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { SiloError } from "../error.ts";
import { toText } from "../formats/byte-string.ts";
import { packSettings } from "../formats/settings/pack.ts";
import type { LocalStore, MakeRoom } from "../store/local-store.ts";
import { statFileSystem } from "../sys/mount.ts";
import { ownCommand } from "../sys/own-program.ts";
import { collectGarbage } from "./collect-garbage.ts";

export interface Surroundings {
  /** Bytes that may still be written to the store. */
  availableBytes(store: LocalStore): number;
  /** Milliseconds that only grow. */
  nowMs(): number;
}

/** A collection that left less than this share of what was available before has not helped: no use to try again. */
const worthwhile = 0.97;

/** For a process that keeps a store open: it remembers when it looked, and what the last collection gave. */
export function autoCollector(
  surroundings: Surroundings = { availableBytes, nowMs: () => performance.now() },
): MakeRoom {
  let lastCheckMs = Number.NEGATIVE_INFINITY;
  let availableAfter = Number.POSITIVE_INFINITY;
  let isRunning = false;

  return (store, urgency) => {
    const { settings, reporter } = store;
    const minFree = settings.get("min-free");
    if (minFree === 0 || isRunning || store.access === "read-only") return;
    const nowMs = surroundings.nowMs();
    if (nowMs < lastCheckMs + settings.get("min-free-check-interval") * 1000) return;
    lastCheckMs = nowMs;
    const maxFree = settings.get("max-free");
    const available = surroundings.availableBytes(store);
    if (available >= minFree || available >= maxFree || available > availableAfter * worthwhile) return;

    const done = () => {
      isRunning = false;
      lastCheckMs = surroundings.nowMs();
      availableAfter = surroundings.availableBytes(store);
    };
    // The default of `max-free` is no number of bytes, but no limit.
    const maxFreed = Number.isSafeInteger(maxFree) ? maxFree - available : undefined;
    reporter.message("info", maxFreed === undefined ? "running auto-GC" : `running auto-GC to free ${maxFreed} bytes`);
    isRunning = true;
    // Another process finds the store by its usual directories only.
    if (urgency === "in-background" && store.realStoreDir === store.storeDir) {
      collectElsewhere(store, maxFreed, done);
      return;
    }
    try {
      collectGarbage(store, { action: "delete-dead", paths: [], liveness: "respect", referrers: "keep", maxFreed });
    } catch (error) {
      if (!(error instanceof SiloError)) throw error;
      // Whoever wants to add something will see for itself whether there is room.
      reporter.message("warning", `warning: cannot collect garbage: ${error.message}`);
    } finally {
      done();
    }
  };
}

function availableBytes({ realStoreDir }: LocalStore): number {
  // A hook of Nix's own tests: a file that says how much is free.
  const pretended = process.env["_NIX_TEST_FREE_SPACE_FILE"];
  if (pretended) return Number(readFileSync(pretended, "latin1").trim());
  return statFileSystem(realStoreDir).available;
}

/** Has another process of silo do it, with the same store and settings. */
function collectElsewhere(store: LocalStore, maxFreed: number | undefined, onEnd: () => void): void {
  const [program, ...args] = ownCommand();
  const dbDir = store.db.path.slice(0, store.db.path.lastIndexOf("/"));
  const limit = maxFreed === undefined ? [] : ["--max-freed", String(maxFreed)];
  const child = spawn(program!, [...args, "nix-store", "--gc", ...limit, "--quiet", "--store", "local"], {
    argv0: "silo",
    stdio: ["ignore", "ignore", "inherit"],
    env: {
      ...process.env,
      NIX_STORE_DIR: toText(store.storeDir),
      NIX_STATE_DIR: toText(store.stateDir),
      NIX_LOG_DIR: toText(store.logDir),
      NIX_CONF_DIR: toText(store.confDir),
      NIX_DB_DIR: toText(dbDir),
      _NIX_OPTIONS: toText(packSettings(store.settings)),
    },
  });
  child.once("error", onEnd);
  child.once("exit", onEnd);
  child.unref();
}
