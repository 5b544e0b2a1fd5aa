/** `silo path-info`: what the store knows of paths. */
import { UsageError } from "../../error.ts";
import { printContentAddress } from "../../formats/content-address.ts";
import { printSri } from "../../formats/hash.ts";
import { printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { PathInfo } from "../../store/path-info.ts";
import type { Store } from "../../store/store.ts";
import { commandApplet } from "../command-line.ts";
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import { openSession } from "../session.ts";
import { showBytes } from "./show-bytes.ts";

export const pathInfo = commandApplet(
  {
    name: "silo path-info",
    family: "silo",
    summary: "Tell what the store knows of paths",
    usage: ["[--recursive] [--size] [--closure-size] [--human-readable] [--sigs] [--json] PATHS…", "--all [OPTIONS]"],
    examples: [
      {
        does: "What takes the space in the closure of a result, the largest last",
        command: "silo path-info -rs ./result | sort -nk2",
      },
      { does: "All there is to know, for a program", command: "silo path-info --json ./result" },
    ],
    options: {
      recursive: { letter: "r", help: "Of the closures of the paths" },
      all: { help: "Of all valid paths" },
      size: { letter: "s", help: "With the size of the contents (their NAR) in bytes" },
      "closure-size": { letter: "S", help: "With the size of the closure in bytes" },
      "human-readable": { letter: "H", help: "Sizes in KiB, MiB and GiB" },
      sigs: { help: "With the signatures" },
      json: { help: "Print an object for each path, in a list" },
    },
  },
  (line, io) =>
    withStore(openSession(line, io), (store) => {
      if (line.has("all") !== (line.operands.length === 0)) {
        throw new UsageError("'silo path-info' needs paths, or else '--all'");
      }
      const infos = [
        ...wanted(
          store,
          line.operands.map((each) => followToStorePath(store.storeDir, each)),
          line,
        ),
      ];
      const closureSize = line.has("closure-size") ? (path: StorePath) => sizeOfClosure(store, path) : undefined;
      if (line.has("json")) {
        io.out(
          `${JSON.stringify(
            infos.map((info) => infoJson(store, info, closureSize)),
            null,
            2,
          )}\n`,
        );
        return 0;
      }
      const show = line.has("human-readable") ? showBytes : String;
      for (const info of infos) {
        const columns = [printStorePath(store.storeDir, info.path)];
        if (line.has("size")) columns.push(info.narSize === undefined ? "?" : show(info.narSize));
        if (closureSize !== undefined) columns.push(show(closureSize(info.path)));
        if (line.has("sigs")) columns.push([...(info.ultimate ? ["ultimate"] : []), ...info.signatures].join(" "));
        io.out(`${columns.join("\t")}\n`);
      }
      return 0;
    }),
);

function wanted(
  store: Store,
  paths: StorePath[],
  line: { has(option: "all" | "recursive"): boolean },
): Iterable<PathInfo> {
  if (line.has("all")) return store.queryPathInfos(store.queryAllValidPaths()).values();
  if (line.has("recursive")) return store.queryPathInfos(store.computeClosure(paths)).values();
  return paths.map((path) => store.requirePathInfo(path));
}

function sizeOfClosure(store: Store, path: StorePath): number {
  let size = 0;
  for (const info of store.queryPathInfos(store.computeClosure([path])).values()) size += info.narSize ?? 0;
  return size;
}

/** The keys that `nix path-info --json` of Nix 2.8 has. */
function infoJson(store: Store, info: PathInfo, closureSize: ((path: StorePath) => number) | undefined): object {
  const show = (path: StorePath) => printStorePath(store.storeDir, path);
  return {
    path: show(info.path),
    narHash: printSri(info.narHash),
    narSize: info.narSize ?? 0,
    references: info.references.map(show),
    ...(info.contentAddress === undefined ? {} : { ca: printContentAddress(info.contentAddress) }),
    ...(closureSize === undefined ? {} : { closureSize: closureSize(info.path) }),
    ...(info.deriver === undefined ? {} : { deriver: show(info.deriver) }),
    registrationTime: info.registrationTimeSec,
    ...(info.ultimate ? { ultimate: true } : {}),
    ...(info.signatures.length === 0 ? {} : { signatures: info.signatures }),
  };
}
