/** Requests about the store as a whole, and about settings. */
import { SiloError } from "../../error.ts";
import { type ByteString, fromText } from "../../formats/byte-string.ts";
import type { SyncReader } from "../../formats/codec.ts";
import { applyClientSettings } from "../../formats/settings/client-settings.ts";
import { type Assignment, withSettings } from "../../formats/settings/settings.ts";
import { fromClient } from "../../formats/settings/source.ts";
import { parseFullStorePath, parseStorePath, type StorePath } from "../../formats/store-path.ts";
import type { FramedReader } from "../../formats/worker-protocol/framed.ts";
import { type ClientOptions, levelFromClient } from "../../formats/worker-protocol/set-options.ts";
import { clearFailedPaths } from "../../store/failed-paths.ts";
import { optimiseStore } from "../../store/optimise.ts";
import { verifyStore } from "../../store/verify.ts";
import { showPath } from "../../store/local-store.ts";
import type { Handlers } from "./handlers.ts";
import { requireTrusted } from "./session.ts";

export class CannotServe extends SiloError {
  readonly code = "cannot-serve";
}

/** Bytes of a log at most. */
const maxLogBytes = 256 * 1024 * 1024;
/** Clients since then show builders' output by themselves, and do not say whether to use build hooks. */
const nix2 = 20;

export const maintenanceHandlers = {
  async setOptions(session, options) {
    const { context, reporter, store, peer } = session;
    reporter.verbosity = levelFromClient(context.minor, options.verbosity);
    reporter.builderOutput = builderOutput(context.minor, options);
    const fixed = withSettings(store.settings, fixedAssignments(context.minor, options));
    const { settings, notes } = applyClientSettings(fixed, options.overrides, peer.trust);
    for (const { level, message } of notes)
      reporter.message(level, level === "warning" ? `warning: ${message}` : message);
    await session.useStore({ ...store, settings });
    return undefined;
  },
  clearFailedPaths({ store }, { paths }) {
    const all = paths.includes("*" as ByteString);
    clearFailedPaths(store, all ? "all" : paths.map((path) => parseFullStorePath(store.storeDir, path)));
    return undefined;
  },
  optimiseStore({ store, reporter }) {
    const stats = optimiseStore(store, (path) => reporter.message("chatty", `optimising '${showPath(store, path)}'`));
    const freed = (stats.bytesFreed / 2 ** 20).toFixed(2);
    reporter.message("info", `${freed} MiB freed by hard-linking ${stats.filesLinked} files`);
    return undefined;
  },
  async verifyStore(session, { checkContents, repair }) {
    const { store, services } = session;
    if (repair) requireTrusted(session, "you are not privileged to repair paths");
    const broken: StorePath[] = [];
    const verdict = verifyStore(store, {
      contents: checkContents ? "hash-contents" : "existence-only",
      // Repairing waits for others, which this walk over the store does not: it notes what there is to do.
      repair: repair ? (path) => void broken.push(path) : undefined,
    });
    let failed = 0;
    for (const path of broken) {
      try {
        await session.interruptible((signal) => services.build.repairPath(path, signal));
      } catch (error) {
        if (!(error instanceof SiloError) || error.code === "client-gone") throw error;
        session.reporter.message("error", `error: ${error.message}`);
        failed++;
      }
    }
    return verdict === "errors" || failed > 0;
  },
  async addBuildLog(session, { drv }, upload) {
    requireTrusted(session, "you are not privileged to add logs");
    await session.services.addBuildLog(parseStorePath(drv), readAll(upload as FramedReader));
    return undefined;
  },
  registerDrvOutput() {
    throw new CannotServe(
      "cannot register a realisation: this store does not record them (experimental feature 'ca-derivations')",
    );
  },
} satisfies Partial<Handlers>;

function builderOutput(minor: number, { buildVerbosity, verbosity }: ClientOptions): "lines" | "results" | "none" {
  if (minor < nix2) return verbosity >= buildVerbosity ? "lines" : "none";
  return buildVerbosity === 0 ? "lines" : "results";
}

/** The fields that are not named hold for every client. */
function fixedAssignments(minor: number, options: ClientOptions): Assignment[] {
  const values: [string, string][] = [
    ["keep-failed", String(options.keepFailed)],
    ["keep-going", String(options.keepGoing)],
    ["fallback", String(options.tryFallback)],
    ["max-jobs", String(options.maxBuildJobs)],
    ["max-silent-time", String(options.maxSilentTimeSec)],
    ["cores", String(options.buildCores)],
    ["substitute", String(options.useSubstitutes)],
  ];
  if (minor < nix2 && !options.useBuildHook) values.push(["builders", ""]);
  return values.map(([name, value]) => ({ name: fromText(name), value: fromText(value), source: fromClient }));
}

function readAll(upload: SyncReader & Pick<FramedReader, "atEnd">): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  while (!upload.atEnd()) {
    const part = Uint8Array.from(upload.takeSome(1 << 18));
    size += part.length;
    if (size > maxLogBytes) throw new CannotServe(`cannot keep a log of more than ${maxLogBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts, size);
}
