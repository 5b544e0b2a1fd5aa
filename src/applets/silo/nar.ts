/** `silo nar`: archives of the store's own format. */
import { UsageError } from "../../error.ts";
import { type ByteString, toText } from "../../formats/byte-string.ts";
import { runSync } from "../../formats/codec.ts";
import { ListingBuilder } from "../../formats/nar/listing.ts";
import { readNar } from "../../formats/nar/read-nar.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";
import { dumpTree } from "../../store/tree/nar-hash.ts";
import { restoreTree } from "../../store/tree/restore.ts";
import { close, O_RDONLY, open } from "../../sys/descriptor.ts";
import { deleteTree } from "../../sys/delete-tree.ts";
import { fdReader } from "../../sys/fd-reader.ts";
import { kindOf } from "../../sys/names.ts";
import { SystemError } from "../../sys/system-error.ts";
import { commandApplet } from "../command-line.ts";
import { absolutePath } from "../path-argument.ts";
import { commandGroup } from "./command-group.ts";
import { onlyMember, tableOf } from "./nar-members.ts";

const EEXIST = 17;

/** Reads an archive file, or `-` for standard input. */
function readArchive(file: ByteString, visitor: NarVisitor): void {
  if (file === "-") return runSync(readNar(visitor), fdReader(0, "standard input"));
  const fd = open(absolutePath(file), O_RDONLY);
  try {
    runSync(readNar(visitor), fdReader(fd, `'${toText(file)}'`));
  } finally {
    close(fd);
  }
}

const dump = commandApplet(
  {
    name: "silo nar dump",
    family: "silo",
    summary: "Write a file or directory to standard output as a NAR",
    usage: ["FILE"],
    examples: [{ does: "A directory", command: "silo nar dump ./src > src.nar" }],
    options: {},
  },
  (line, io) => {
    const [file, ...more] = line.operands;
    if (file === undefined || more.length > 0) throw new UsageError("'silo nar dump' needs one file");
    dumpTree(absolutePath(file), (chunk) => io.out(chunk));
    return 0;
  },
);

const restore = commandApplet(
  {
    name: "silo nar restore",
    family: "silo",
    summary: "Unpack the NAR on standard input to a path that does not exist",
    usage: ["FILE"],
    examples: [{ does: "What dump wrote", command: "silo nar restore ./copy < src.nar" }],
    options: {},
  },
  (line) => {
    const [file, ...more] = line.operands;
    if (file === undefined || more.length > 0) throw new UsageError("'silo nar restore' needs one destination");
    const destination = absolutePath(file);
    if (kindOf(destination) !== undefined) throw new SystemError(`restoring to '${toText(file)}'`, EEXIST);
    const restorer = restoreTree(destination, "plain");
    try {
      readArchive("-" as ByteString, restorer);
    } catch (error) {
      restorer.abandon();
      deleteTree(destination);
      throw error;
    }
    return 0;
  },
);

const ls = commandApplet(
  {
    name: "silo nar ls",
    family: "silo",
    summary: "List what is in a NAR",
    usage: ["[--long] [--json] ARCHIVE"],
    examples: [{ does: "With modes, sizes and targets", command: "silo nar ls -l src.nar" }],
    options: {
      long: { letter: "l", help: "Mode, size and target as well" },
      json: { help: "The listing that binary caches keep" },
    },
  },
  (line, io) => {
    const [file, ...more] = line.operands;
    if (file === undefined || more.length > 0) throw new UsageError("'silo nar ls' needs one archive, or '-'");
    if (line.has("json")) {
      const listing = new ListingBuilder();
      readArchive(file, listing);
      io.out(`${listing.finish()}\n`);
    } else {
      readArchive(
        file,
        tableOf(line.has("long") ? "long" : "names", (row) => io.out(Buffer.from(`${row}\n`, "latin1"))),
      );
    }
    return 0;
  },
);

const cat = commandApplet(
  {
    name: "silo nar cat",
    family: "silo",
    summary: "Write one file of a NAR to standard output",
    usage: ["ARCHIVE MEMBER"],
    examples: [{ does: "A file below the root", command: "silo nar cat src.nar main.c" }],
    options: {},
  },
  (line, io) => {
    const [file, member, ...more] = line.operands;
    if (file === undefined || member === undefined || more.length > 0) {
      throw new UsageError("'silo nar cat' needs an archive and the name of a file in it");
    }
    const wanted = onlyMember(member, (chunk) => io.out(chunk));
    readArchive(file, wanted.visitor);
    wanted.finish();
    return 0;
  },
);

export const nar = commandGroup({
  name: "silo nar",
  summary: "Write, unpack, list and read NAR archives",
  commands: {
    dump: { summary: dump.summary, load: async () => dump },
    restore: { summary: restore.summary, load: async () => restore },
    ls: { summary: ls.summary, load: async () => ls },
    cat: { summary: cat.summary, load: async () => cat },
  },
});
