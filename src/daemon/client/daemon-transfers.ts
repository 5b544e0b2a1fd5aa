/** Contents to and from a daemon's store, in constant memory: adding, dumping, exporting and importing. */
import { createHash } from "../../node-crypto.ts";
import { fromText } from "../../formats/byte-string.ts";
import { runSync, type SyncReader } from "../../formats/codec.ts";
import { encodeItemInfo, encodeItemSignature, encodeItemStart, encodeStreamEnd } from "../../formats/export-stream.ts";
import { readNar } from "../../formats/nar/read-nar.ts";
import { ignoreNar, type NarVisitor } from "../../formats/nar/visitor.ts";
import { NarWriter } from "../../formats/nar/write-nar.ts";
import type { StorePath } from "../../formats/store-path.ts";
import { tee } from "../../formats/tee.ts";
import { operations } from "../../formats/worker-protocol/operations.ts";
import { type AddOptions, NotRegularFile, visitFile } from "../../store/add.ts";
import type { ItemSigner } from "../../store/export.ts";
import type { PathInfo } from "../../store/path-info.ts";
import type { Store } from "../../store/store.ts";
import { walkTree } from "../../store/tree/walk.ts";
import type { DaemonConnection } from "./daemon-connection.ts";
import { importBySpooling } from "./import-by-spooling.ts";

type OnBytes = (bytes: Uint8Array) => void;
type Queries = Pick<Store, "requirePathInfo">;

const firstWithFramedAdd = 25;
const firstWithNarFromPath = 17;

export function daemonTransfers(
  connection: DaemonConnection,
  { requirePathInfo }: Queries,
): Pick<Store, "addPath" | "addNar" | "addText" | "dumpPath" | "exportPaths" | "importPaths"> {
  const { call, callThen, context } = connection;
  const { storeDir, minor } = context;

  /** @param produce shows the tree */
  function add(options: AddOptions, produce: (visitor: NarVisitor) => void): StorePath {
    const { name, method, references = [], mode = "normal" } = options;
    const request = { name: fromText(name), method, references, repair: mode === "repair" };
    const isNar = minor < firstWithFramedAdd || (method.kind === "fixed" && method.method === "recursive");
    const upload = (onBytes: OnBytes) => {
      if (!isNar) return produce(contentsOnly(name, onBytes));
      const writer = new NarWriter(onBytes);
      produce(writer);
      writer.finish();
    };
    if (method.kind === "text" && minor < firstWithFramedAdd) return addOldText(name, references, produce);
    return call(operations.addToStore, request, { upload }).path;
  }

  function addOldText(
    name: string,
    references: readonly StorePath[],
    produce: (visitor: NarVisitor) => void,
  ): StorePath {
    const parts: Uint8Array[] = [];
    produce(contentsOnly(name, (bytes) => parts.push(Uint8Array.from(bytes))));
    return call(operations.addTextToStore, { name: fromText(name), text: Buffer.concat(parts), references });
  }

  function dumpPath(path: StorePath, onBytes: OnBytes): void {
    const forward = (input: SyncReader) => runSync(tee(readNar(ignoreNar), onBytes), input);
    if (minor >= firstWithNarFromPath) return callThen(operations.narFromPath, { path }, forward);
    // An exported item begins with the NAR; the rest says what we know.
    const item = pushedNar(onBytes);
    call(operations.exportPath, { path, sign: false }, { onWrite: item });
  }

  function exportItem(path: StorePath, onBytes: OnBytes, sign: ItemSigner | undefined): void {
    onBytes(encodeItemStart());
    if (minor < firstWithNarFromPath) {
      call(operations.exportPath, { path, sign: sign !== undefined }, { onWrite: onBytes });
      return;
    }
    const info: PathInfo = requirePathInfo(path);
    const hasher = sign === undefined ? undefined : createHash("sha256");
    const signed = (bytes: Uint8Array) => {
      hasher?.update(bytes);
      onBytes(bytes);
    };
    dumpPath(path, signed);
    signed(encodeItemInfo(storeDir, info));
    onBytes(encodeItemSignature(hasher === undefined ? undefined : sign!(hasher.digest("hex"))));
  }

  return {
    addPath: (source, options, filter) => add(options, (visitor) => walkTree(source, visitor, filter)),
    addNar: (reader, options) => add(options, (visitor) => runSync(readNar(visitor), reader)),
    addText: (name, contents, references) =>
      add({ name, method: { kind: "text", hashAlgo: "sha256" }, references }, (visitor) =>
        visitFile(visitor, contents),
      ),
    dumpPath,
    exportPaths(paths, onBytes, sign) {
      for (const path of paths) exportItem(path, onBytes, sign);
      onBytes(encodeStreamEnd());
    },
    importPaths(reader, _verify, onPath = () => {}) {
      // The daemon judges signatures by itself.
      if (!hasImport(connection)) return importBySpooling(connection, reader, onPath);
      const imported = call(operations.importPaths, undefined, { onRead: (maxBytes) => reader.takeSome(maxBytes) });
      for (const path of imported) onPath(path);
      return [...imported];
    },
  };
}

/** Nix 2.32 has dropped the request that takes a stream. */
function hasImport({ hello, context }: DaemonConnection): boolean {
  if (context.minor < 38) return true;
  const [major = 0, minor = 0] = (hello.nixVersion ?? "").split(".").map((part) => Number.parseInt(part, 10) || 0);
  return major === 2 && minor < 32;
}

/** What is in the one file of a flat object. */
function contentsOnly(name: string, onBytes: OnBytes): NarVisitor {
  const refuse = () => {
    throw new NotRegularFile(name);
  };
  return {
    directory: refuse,
    leaveDirectory: refuse,
    symlink: refuse,
    file() {},
    contents: onBytes,
    endFile() {},
  };
}

/** Takes the parts of a stream that begins with a NAR, and hands on the NAR. */
function pushedNar(onBytes: OnBytes): OnBytes {
  const codec = tee(readNar(ignoreNar), onBytes);
  let step = codec.next();
  let held: Uint8Array = new Uint8Array(0);
  return (data) => {
    held = held.length === 0 ? data : Buffer.concat([held, data]);
    while (!step.done && held.length > 0) {
      const wanted = step.value > 0 ? step.value : Math.min(-step.value, held.length);
      if (held.length < wanted) break;
      const bytes = held.subarray(0, wanted);
      held = held.subarray(wanted);
      step = codec.next(bytes);
    }
    if (step.done) held = new Uint8Array(0);
  };
}
