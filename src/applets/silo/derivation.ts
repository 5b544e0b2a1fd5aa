/** `silo derivation`: derivations as JSON, out of the store and into it. */
import { UsageError } from "../../error.ts";
import { derivationFile } from "../../formats/derivation/derivation-file.ts";
import { checkDerivationOutputs } from "../../formats/derivation/output-paths.ts";
import { createModuloContext } from "../../formats/derivation/hash-modulo.ts";
import { parseDerivationsJson } from "../../formats/derivation/parse-derivation-json.ts";
import { derivationJsonFormats } from "../../formats/derivation/json-format.ts";
import { printDerivationsJson } from "../../formats/derivation/print-derivation-json.ts";
import { isDerivationPath, printStorePath, type StorePath } from "../../formats/store-path.ts";
import { maxDerivationSize, readDerivation } from "../../store/read-derivation.ts";
import type { Store } from "../../store/store.ts";
import { readSmallFile } from "../../sys/descriptor.ts";
import { commandApplet } from "../command-line.ts";
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import { openSession } from "../session.ts";
import { commandGroup } from "./command-group.ts";

function realStoreDir(store: Store): string {
  return store.local?.realStoreDir ?? store.storeDir;
}

/** The derivation itself, or the one that a path was built from. */
function derivationOf(store: Store, path: StorePath): StorePath {
  if (isDerivationPath(path)) return path;
  const deriver = store.requirePathInfo(path).deriver;
  if (deriver !== undefined) return deriver;
  throw new UsageError(
    `'${printStorePath(store.storeDir, path)}' is no derivation, and which one it was built from is not known`,
  );
}

const show = commandApplet(
  {
    name: "silo derivation show",
    family: "silo",
    summary: "Print derivations as JSON",
    usage: ["[--recursive] [--format FORMAT] PATHS…"],
    examples: [
      { does: "What was a result built from?", command: "silo derivation show ./result" },
      { does: "All derivations that a build takes", command: "silo derivation show -r /nix/store/…-hello.drv" },
    ],
    options: {
      recursive: { letter: "r", help: "With the derivations that they need" },
      format: { operands: ["FORMAT"], help: `Of which Nix: ${derivationJsonFormats.join(", ")}; version-4 is today's` },
    },
  },
  (line, io) =>
    withStore(openSession(line, io), (store) => {
      if (line.operands.length === 0) throw new UsageError("'silo derivation show' needs store paths");
      const name = line.last("format") ?? "version-4";
      const format = derivationJsonFormats.find((each) => each === name);
      if (format === undefined)
        throw new UsageError(`'${name}' is not a format, expected ${derivationJsonFormats.join(", ")}`);
      const start = line.operands.map((each) => derivationOf(store, followToStorePath(store.storeDir, each)));
      const all = line.has("recursive") ? store.computeClosure(start).filter(isDerivationPath) : start;
      const derivations = new Map(all.map((path) => [path, readDerivation(store.storeDir, realStoreDir(store), path)]));
      io.out(Buffer.from(`${printDerivationsJson(store.storeDir, derivations, format)}\n`, "latin1"));
      return 0;
    }),
);

const add = commandApplet(
  {
    name: "silo derivation add",
    family: "silo",
    summary: "Add the derivations on standard input, in the JSON that show prints, and print their store paths",
    usage: [""],
    examples: [
      {
        does: "A copy in another store",
        command: "silo derivation show /nix/store/…-hello.drv | silo derivation add --store /tmp/other",
      },
    ],
    options: {},
  },
  (line, io) =>
    withStore(openSession(line, io), (store) => {
      const text = new Uint8Array(readSmallFile("/dev/stdin", maxDerivationSize));
      const context = createModuloContext(store.storeDir, (path) =>
        readDerivation(store.storeDir, realStoreDir(store), path),
      );
      for (const drv of parseDerivationsJson(store.storeDir, text).values()) {
        const { path, contents, references } = derivationFile(store.storeDir, drv);
        checkDerivationOutputs(context, path, drv);
        store.addText(`${drv.name}.drv`, Buffer.from(contents, "latin1"), references);
        io.out(`${printStorePath(store.storeDir, path)}\n`);
      }
      return 0;
    }),
);

export const derivation = commandGroup({
  name: "silo derivation",
  summary: "Show derivations, and add them",
  commands: {
    show: { summary: show.summary, load: async () => show },
    add: { summary: add.summary, load: async () => add },
  },
});
