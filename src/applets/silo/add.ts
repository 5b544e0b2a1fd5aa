/** `silo add`: files and directories into the store. */
import { UsageError } from "../../error.ts";
import { fromText, toText } from "../../formats/byte-string.ts";
import type { ContentAddressMethod } from "../../formats/content-address.ts";
import { parseHashAlgo } from "../../formats/hash.ts";
import { printStorePath } from "../../formats/store-path.ts";
import { commandApplet } from "../command-line.ts";
import { withStore } from "../open-store.ts";
import { absolutePath } from "../path-argument.ts";
import { openSession } from "../session.ts";

export const add = commandApplet(
  {
    name: "silo add",
    family: "silo",
    summary: "Copy files or directories to the store, and print their store paths",
    usage: ["[--name NAME] [--flat] [--algorithm ALGORITHM] [--json] FILES…"],
    examples: [
      { does: "A directory, under its own name", command: "silo add ./src" },
      {
        does: "A file by the hash of its contents, as fixed-output derivations have it",
        command: "silo add --flat v1.tar.gz",
      },
    ],
    options: {
      name: { letter: "n", operands: ["NAME"], help: "What the path is called; the file's name unless given" },
      flat: { help: "Address a regular file by its contents alone, without its mode" },
      algorithm: {
        operands: ["ALGORITHM"],
        help: "The hash that gives the path: sha256 (the default), sha512, sha1 or md5",
      },
      json: { help: "Print a list of objects with `file` and `path`" },
    },
  },
  (line, io) =>
    withStore(openSession(line, io), (store) => {
      if (line.operands.length === 0) throw new UsageError("'silo add' needs at least one file");
      const name = line.last("name");
      if (name !== undefined && line.operands.length > 1) throw new UsageError("'--name' goes with one file only");
      const method: ContentAddressMethod = {
        kind: "fixed",
        method: line.has("flat") ? "flat" : "recursive",
        hashAlgo: parseHashAlgo(line.last("algorithm") ?? "sha256"),
      };
      const added = line.operands.map((file) => {
        const source = absolutePath(file);
        const path = store.addPath(source, { name: name ?? source.slice(source.lastIndexOf("/") + 1), method });
        return { file: toText(file), path: printStorePath(store.storeDir, path) };
      });
      if (line.has("json")) io.out(fromText(`${JSON.stringify(added, null, 2)}\n`));
      else for (const { path } of added) io.out(`${path}\n`);
      return 0;
    }),
);
