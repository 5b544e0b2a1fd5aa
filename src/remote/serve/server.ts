/**
 * The server of the serve protocol, on two descriptors: what `nix-store --serve` runs for a client behind ssh. Whoever can log in is trusted: signatures
 * are not asked for. A command that fails ends the connection; the message goes to standard error, as main prints it.
 */
import { SiloError } from "../../error.ts";
import { fromText } from "../../formats/byte-string.ts";
import { runSync, type SyncReader } from "../../formats/codec.ts";
import type { BuildResult } from "../../formats/worker-protocol/build-result.ts";
import type { WireContext } from "../../formats/worker-protocol/wire-type.ts";
import {
  type Command,
  commandName,
  type CommandName,
  type CommandReply,
  type CommandRequest,
  commands,
  pathInfos,
  type ServeBuildSettings,
  serveContext,
  type ServePathInfo,
} from "../../formats/serve-protocol/commands.ts";
import { readOldCommand, readOldQuery } from "../../formats/serve-protocol/queries.ts";
import { greetServeClient } from "../../formats/serve-protocol/version.ts";
import { readNumber, WireWriter } from "../../formats/wire.ts";
import type { BuildService } from "../../store/build-service.ts";
import type { PathInfo } from "../../store/path-info.ts";
import type { Store } from "../../store/store.ts";
import { extensionMarkers } from "../delta/extension.ts";
import { extensionServer } from "../delta/serve-extension.ts";

/** What a server serves. */
export interface Served {
  readonly store: Store;
  /** Without `--write` nothing is added and nothing built. */
  readonly access: "read-only" | "write";
  /** How paths come in: signatures are not looked at. */
  readonly incoming: IncomingPaths;
  /** The scheduler, with the limits that the client wants. */
  openBuilds(settings: ServeBuildSettings): Promise<BuildService>;
}

export interface IncomingPaths {
  /** Adds a path whose NAR the reader gives next, soon or with {@link flush}; of a path that is valid nothing need be read. */
  add(info: PathInfo, reader: SyncReader): void;
  /** Makes valid what has been added. */
  flush(): void;
}

export interface ServeStreams {
  readonly reader: SyncReader & { atEnd(): boolean };
  /** Is there input that can be read without waiting? */
  hasInput(): boolean;
  write(bytes: Uint8Array): void;
  /** Runs a build with a signal that fires when the client hangs up. */
  untilHangUp<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** What `nix-store --serve` without `--write` does not do. */
export class NotAllowed extends SiloError {
  readonly code = "not-allowed";
}

export class UnknownCommand extends SiloError {
  readonly code = "unknown-command";
}

/** Serves until the client hangs up. @throws (rejects) what a command does */
export async function serve(served: Served, streams: ServeStreams): Promise<void> {
  const { reader, write } = streams;
  if (reader.atEnd()) return;
  const version = runSync(greetServeClient(write), reader);
  if (version.kind === "1.1") return serveOldClient(served, streams);
  const context = serveContext(served.store.storeDir, version.minor);
  const { local } = served.store;
  const extension = local === undefined ? undefined : extensionServer(local, served, streams);
  // A client that sends many paths without waiting for answers gets these, and the paths become valid, together.
  let owedAnswers = 0;
  const settle = () => {
    served.incoming.flush();
    const writer = new WireWriter();
    for (; owedAnswers > 0; owedAnswers--) commands.addToStoreNar.reply.write(writer, undefined, context);
    write(writer.take());
  };
  for (;;) {
    if (owedAnswers > 0 && !streams.hasInput()) settle();
    if (reader.atEnd()) break;
    const code = runSync(readNumber("command", 0xffff_ffff), reader);
    const name = commandName(code);
    if (name === "addToStoreNar") {
      addToStoreNar(served, streams, context);
      owedAnswers++;
      continue;
    }
    if (owedAnswers > 0) settle();
    if (name !== undefined) await run(served, streams, context, name);
    else if (extension?.serve(code) !== true) throw new UnknownCommand(`unknown serve command ${code}`);
  }
}

/** Its answer is owed. */
function addToStoreNar(served: Served, { reader }: ServeStreams, context: WireContext): void {
  const { path, narSize, ...info } = runSync(commands.addToStoreNar.request.read(context, "request"), reader);
  requireWriteAccess(served, "importing paths");
  const nar = limitedReader(reader, narSize);
  served.incoming.add({ path, narSize, ...info }, nar);
  nar.drain();
}

async function run(
  served: Served,
  streams: ServeStreams,
  context: WireContext,
  name: Exclude<CommandName, "addToStoreNar">,
): Promise<void> {
  const { store } = served;
  const { reader, write } = streams;
  const request = <N extends CommandName>(command: N) =>
    runSync(
      (commands[command] as Command<CommandRequest<(typeof commands)[N]>, unknown>).request.read(context, "request"),
      reader,
    );
  const reply = <N extends CommandName>(command: N, value: CommandReply<(typeof commands)[N]>): void => {
    const writer = new WireWriter();
    (commands[command] as Command<unknown, typeof value>).reply.write(writer, value, context);
    write(writer.take());
  };
  switch (name) {
    case "queryValidPaths": {
      const { lock, substitute, paths } = request(name);
      const writable = served.access === "write";
      if (writable && lock) store.addTempRoots(paths);
      if (writable && substitute) await fetchMissing(served, streams, paths);
      const valid = [...store.queryValidPaths(paths)];
      const markers = store.local === undefined ? [] : extensionMarkers;
      reply(name, [...valid, ...markers.filter((marker) => paths.includes(marker))]);
      break;
    }
    case "queryPathInfos":
      reply(name, infosOf(store, request(name).paths));
      break;
    case "dumpStorePath":
      store.dumpPath(request(name).path, write);
      break;
    case "importPaths":
      request(name);
      requireWriteAccess(served, "importing paths");
      store.importPaths(reader);
      reply(name, undefined);
      break;
    case "exportPaths":
      store.exportPaths(store.sortTopologically(request(name).paths), write);
      break;
    case "buildPaths": {
      const { targets, settings } = request(name);
      requireWriteAccess(served, "building paths");
      const builds = await served.openBuilds(settings);
      reply(
        name,
        await streams.untilHangUp((signal) => buildPaths(() => builds.buildPaths(targets, "normal", signal))),
      );
      break;
    }
    case "queryClosure": {
      const { includeOutputs, paths } = request(name);
      reply(name, store.computeClosure(paths, "references", { outputs: includeOutputs }));
      break;
    }
    case "buildDerivation": {
      const { drv, settings } = request(name);
      requireWriteAccess(served, "building paths");
      const builds = await served.openBuilds(settings);
      const result: BuildResult = await streams.untilHangUp((signal) =>
        builds.buildDerivation(drv.drvPath, drv.derivation, "normal", signal),
      );
      reply(name, result);
      break;
    }
  }
}

async function buildPaths(build: () => Promise<void>): Promise<CommandReply<(typeof commands)["buildPaths"]>> {
  try {
    await build();
    return { kind: "built" };
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    return { kind: "failed", exitStatus: error.exitStatus || 1, message: fromText(error.message) };
  }
}

/** Fetches those that are not valid and that a substituter has; failures are for the client to see by what is valid then. */
async function fetchMissing(served: Served, streams: ServeStreams, paths: PathInfo["references"]): Promise<void> {
  const valid = served.store.queryValidPaths(paths);
  const missing = paths.filter((path) => !valid.has(path) && !extensionMarkers.includes(path));
  if (missing.length === 0) return;
  const builds = await served.openBuilds(noLimits);
  try {
    const available = await builds.querySubstitutablePaths(missing);
    await streams.untilHangUp((signal) =>
      builds.buildPaths(
        [...available].map((path) => ({ kind: "opaque", path })),
        "normal",
        signal,
      ),
    );
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
  }
}

export const noLimits: ServeBuildSettings = {
  maxSilentTimeSec: 0,
  buildTimeoutSec: 0,
  maxLogSize: 0,
  repeats: 0,
  enforceDeterminism: false,
  keepFailed: false,
};

function requireWriteAccess(served: Served, what: string): void {
  if (served.access !== "write") throw new NotAllowed(`${what} is not allowed`);
}

function infosOf(store: Store, paths: PathInfo["references"]): ServePathInfo[] {
  return [...store.queryPathInfos(paths).values()].map((info) => ({ ...info, downloadSize: info.narSize }));
}

/** Nix 1.7: one command a connection. */
function serveOldClient({ store }: Served, { reader, write }: ServeStreams): void {
  if (reader.atEnd()) return;
  const context = serveContext(store.storeDir, 0);
  const command = runSync(readOldCommand(context), reader);
  if (command.kind === "substitute") return store.dumpPath(command.path, write);
  while (!reader.atEnd()) {
    const { kind, paths } = runSync(readOldQuery(context), reader);
    const writer = new WireWriter();
    if (kind === "have") {
      commands.queryValidPaths.reply.write(writer, [...store.queryValidPaths(paths)], context);
    } else pathInfos.write(writer, infosOf(store, paths), context);
    write(writer.take());
  }
}

interface LimitedReader extends SyncReader {
  /** Passes over what is left. */
  drain(): void;
}

/** The next `size` bytes of a reader. */
function limitedReader(reader: SyncReader, size: number): LimitedReader {
  let left = size;
  const takeSome = (n: number) => {
    if (left === 0) throw new NarTooLong(size);
    const bytes = reader.takeSome(Math.min(n, left));
    left -= bytes.length;
    return bytes;
  };
  return {
    takeSome,
    take(n) {
      if (n > left) throw new NarTooLong(size);
      left -= n;
      return reader.take(n);
    },
    drain() {
      while (left > 0) takeSome(1 << 18);
    },
  };
}

/** A NAR goes on where the client said that it ends. */
export class NarTooLong extends SiloError {
  readonly code = "nar-too-long";
  constructor(readonly stated: number) {
    super(`Cannot read NAR: it is longer than the ${stated} bytes that it is said to have`);
  }
}
