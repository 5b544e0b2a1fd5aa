/**
 * Copying to and from machines whose `nix-store` does not serve, as nix-copy-closure of Nix 1.7 does it: with commands that print paths, and export
 * streams between `nix-store --export` and `--import`.
 */
import { run } from "../../formats/codec.ts";
import { readItem, readItemSignature, readItemStart } from "../../formats/export-stream.ts";
import { parseFullStorePath, printStorePath, type StorePath } from "../../formats/store-path.ts";
import { encodeItemInfo, encodeItemSignature, encodeItemStart, encodeStreamEnd } from "../../formats/export-stream.ts";
import { computeSortedClosure } from "../../store/closure.ts";
import { type LocalStore, realPath, showPath } from "../../store/local-store.ts";
import { placeObject } from "../../store/place-object.ts";
import { queryValidPaths, requirePathInfo } from "../../store/queries.ts";
import { openTreeReceiver } from "../../store/receive-tree.ts";
import { narChunks } from "../../store/tree/nar-chunks.ts";
import { coalescingWriter } from "../coalescing-writer.ts";
import type { CopyOptions } from "../copy-closure.ts";
import type { MachineConnections } from "../machine-connections.ts";
import { type RemoteProcess, remoteEnded } from "../remote-process.ts";
import { quoteForShell } from "../store-uri.ts";

/** Paths on one command line. */
const maxPathsACommand = 1500;

/** @throws (rejects) RemoteEnded */
export async function copyWithoutServe(
  store: LocalStore,
  machine: MachineConnections,
  direction: "to" | "from",
  roots: readonly StorePath[],
  options: CopyOptions,
): Promise<readonly StorePath[]> {
  return direction === "to" ? copyTo(store, machine, roots, options) : copyFrom(store, machine, roots, options);
}

async function copyTo(
  store: LocalStore,
  machine: MachineConnections,
  roots: readonly StorePath[],
  options: CopyOptions,
) {
  const closure = computeSortedClosure(store, roots, "references", { outputs: options.outputs === "include" });
  store.tempRoots.add(closure.map((path) => showPath(store, path)));
  if (options.substitute === "use") await lines(store, machine, "-r --ignore-unknown", closure);
  const missing = new Set(await lines(store, machine, "--check-validity --print-invalid", closure));
  const copied = closure.filter((path) => missing.has(path));
  if (copied.length === 0 || options.run === "dry") return copied;
  const process = await machine.start("nix-store --import > /dev/null");
  const write = coalescingWriter(process);
  for (const path of copied) {
    await write(encodeItemStart());
    for (const chunk of narChunks(realPath(store, path))) await write(chunk);
    await write(encodeItemInfo(store.storeDir, requirePathInfo(store, path)));
    await write(encodeItemSignature(undefined));
  }
  await write(encodeStreamEnd());
  await new Promise((resolve) => setImmediate(resolve)); // what was gathered goes out first
  await finish(process);
  return copied;
}

async function copyFrom(
  store: LocalStore,
  machine: MachineConnections,
  roots: readonly StorePath[],
  options: CopyOptions,
) {
  const query = options.outputs === "include" ? "--query --requisites --include-outputs" : "--query --requisites";
  const closure = await lines(store, machine, query, roots);
  store.tempRoots.add(closure.map((path) => showPath(store, path)));
  const valid = queryValidPaths(store, closure);
  const missing = closure.filter((path) => !valid.has(path));
  if (missing.length === 0 || options.run === "dry") return missing;
  const process = await machine.start(`nix-store --export ${printPaths(store, missing)}`);
  const { reader } = process;
  while ((await run(readItemStart(), reader)) === "item") {
    const receiver = openTreeReceiver(store);
    try {
      const info = await run(readItem(store.storeDir, receiver.visitor), reader);
      await run(readItemSignature(), reader);
      const unknown = { ultimate: false, signatures: [], contentAddress: undefined };
      placeObject(store, receiver.finish(), { ...info, ...unknown }, "normal");
    } catch (error) {
      receiver.abandon();
      throw error;
    }
  }
  await finish(process);
  return missing;
}

/** The paths that a command prints, in order; of many paths, in parts. */
async function lines(store: LocalStore, machine: MachineConnections, operation: string, paths: readonly StorePath[]) {
  const found: StorePath[] = [];
  for (let at = 0; at < paths.length; at += maxPathsACommand) {
    const process = await machine.start(
      `nix-store ${operation} ${printPaths(store, paths.slice(at, at + maxPathsACommand))}`,
    );
    const { reader } = process;
    let output = "";
    while (!(await reader.atEnd())) output += Buffer.from(await reader.takeSome(65536)).toString("latin1");
    await finish(process);
    for (const line of output.split("\n")) if (line !== "") found.push(parseFullStorePath(store.storeDir, line));
  }
  return found;
}

async function finish(process: RemoteProcess): Promise<void> {
  process.end();
  const { status } = await process.exited;
  if (status !== 0) throw await remoteEnded(process);
}

function printPaths(store: LocalStore, paths: readonly StorePath[]): string {
  return paths.map((path) => quoteForShell(printStorePath(store.storeDir, path))).join(" ");
}
