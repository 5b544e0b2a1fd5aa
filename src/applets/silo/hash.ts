/** `silo hash`: hashes of files, trees and texts, and other spellings of hashes. */
import { createHash } from "node:crypto";
import { UsageError } from "../../error.ts";
import { type ByteString, fromText, toText } from "../../formats/byte-string.ts";
import {
  BadHash,
  type Hash,
  type HashAlgo,
  hashBytes,
  parseHash,
  parseHashAlgo,
  printBareHash,
  printSri,
} from "../../formats/hash.ts";
import { visitorOfContents } from "../../store/add.ts";
import { hashTree } from "../../store/tree/nar-hash.ts";
import { walkTree } from "../../store/tree/walk.ts";
import { type CommandLine, commandApplet } from "../command-line.ts";
import type { Example, OptionTable } from "../command-line/option-spec.ts";
import type { Io } from "../io.ts";
import { absolutePath } from "../path-argument.ts";
import { commandGroup } from "./command-group.ts";

const encodings = ["sri", "base16", "base32", "base64"] as const;
type Encoding = (typeof encodings)[number];

const options = {
  algorithm: { letter: "t", operands: ["ALGORITHM"], help: "sha256 (the default), sha512, sha1 or md5" },
  as: { operands: ["ENCODING"], help: `How to print it: ${encodings.join(", ")}; sri is the default` },
  json: { help: "Print a list of objects with `operand` and `hash`" },
} as const satisfies OptionTable;

function hashCommand(
  name: string,
  summary: string,
  operands: string,
  example: Example,
  hash: (operand: ByteString, algo: HashAlgo) => Hash,
) {
  return commandApplet(
    {
      name: `silo hash ${name}`,
      family: "silo",
      summary,
      usage: [`[--algorithm ALGORITHM] [--as ENCODING] [--json] ${operands}…`],
      examples: [example],
      options,
    },
    (line, io) => {
      if (line.operands.length === 0) throw new UsageError(`'silo hash ${name}' needs an operand`);
      const algo = parseHashAlgo(line.last("algorithm") ?? "sha256");
      const encoding = parseEncoding(line.last("as"));
      printHashes(line, io, (operand) => show(hash(operand, algo), encoding));
      return 0;
    },
  );
}

function printHashes(line: CommandLine<"json">, io: Io, hash: (operand: ByteString) => string): void {
  if (!line.has("json")) {
    for (const operand of line.operands) io.out(`${hash(operand)}\n`);
    return;
  }
  const list = line.operands.map((operand) => ({ operand: toText(operand), hash: hash(operand) }));
  io.out(fromText(`${JSON.stringify(list, null, 2)}\n`));
}

const path = hashCommand(
  "path",
  "Hash a file or directory as a NAR",
  "FILES",
  { does: "A tree, as store paths have it", command: "silo hash path ./src" },
  (file, algo) => {
    return hashTree(absolutePath(file), algo).hash;
  },
);

const ofFile = { does: "As sha256sum, in SRI form", command: "silo hash file ./src.nar" };
const file = hashCommand("file", "Hash the contents of a file", "FILES", ofFile, (name, algo) => {
  const hasher = createHash(algo);
  walkTree(
    absolutePath(name),
    visitorOfContents(name, (chunk) => void hasher.update(chunk)),
  );
  return { algo, bytes: new Uint8Array(hasher.digest()) };
});

const ofText = { does: "The hash of five letters", command: "silo hash text hello" };
const text = hashCommand("text", "Hash the operand itself", "TEXTS", ofText, (contents, algo) =>
  hashBytes(algo, contents),
);

const convert = commandApplet(
  {
    name: "silo hash convert",
    family: "silo",
    summary: "Print a hash in another encoding",
    usage: ["[--algorithm ALGORITHM] [--as ENCODING] [--json] HASHES…"],
    examples: [
      {
        does: "From what a package registry says to what recipes take",
        command: "silo hash convert --algorithm sha1 --as sri da39a3ee5e6b4b0d3255bfef95601890afd80709",
      },
    ],
    options: {
      ...options,
      algorithm: { ...options.algorithm, help: "What the hash is, where it does not say itself" },
    },
  },
  (line, io) => {
    if (line.operands.length === 0) throw new UsageError("'silo hash convert' needs a hash");
    const algo = line.last("algorithm");
    const encoding = parseEncoding(line.last("as"));
    const known = algo === undefined ? undefined : parseHashAlgo(algo);
    printHashes(line, io, (operand) => show(parseHash(operand, known), encoding));
    return 0;
  },
);

function parseEncoding(text: string | undefined): Encoding {
  const encoding = encodings.find((each) => each === (text ?? "sri"));
  if (encoding === undefined) throw new BadHash(text!, `unknown encoding, expected ${encodings.join(", ")}`);
  return encoding;
}

function show(hash: Hash, encoding: Encoding): string {
  return encoding === "sri" ? printSri(hash) : printBareHash(hash, encoding);
}

export const hash = commandGroup({
  name: "silo hash",
  summary: "Hash files, trees and texts, and convert hashes",
  commands: {
    path: { summary: path.summary, load: async () => path },
    file: { summary: file.summary, load: async () => file },
    text: { summary: text.summary, load: async () => text },
    convert: { summary: convert.summary, load: async () => convert },
  },
});
