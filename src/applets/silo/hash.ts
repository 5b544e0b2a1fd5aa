/** `silo hash`: hashes of files, trees and texts, and other spellings of hashes. */
import { createHash } from "node:crypto";
import { UsageError } from "../../error.ts";
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
import { commandApplet } from "../command-line.ts";
import type { OptionTable } from "../command-line/option-spec.ts";
import { absolutePath } from "../path-argument.ts";
import { commandGroup } from "./command-group.ts";

const encodings = ["sri", "base16", "base32", "base64"] as const;
type Encoding = (typeof encodings)[number];

const options = {
  algorithm: { letter: "t", operands: ["ALGORITHM"], help: "sha256 (the default), sha512, sha1 or md5" },
  as: { operands: ["ENCODING"], help: `How to print it: ${encodings.join(", ")}; sri is the default` },
} as const satisfies OptionTable;

function hashCommand(
  name: string,
  summary: string,
  operand: string,
  does: string,
  hash: (operand: string, algo: HashAlgo) => Hash,
) {
  return commandApplet(
    {
      name: `silo hash ${name}`,
      family: "silo",
      summary,
      usage: [`[--algorithm ALGORITHM] [--as ENCODING] ${operand}…`],
      examples: [{ does, command: `silo hash ${name} ${operand === "FILE" ? "./src" : "hello"}` }],
      options,
    },
    (line, io) => {
      if (line.operands.length === 0) throw new UsageError(`'silo hash ${name}' needs an operand`);
      const algo = parseHashAlgo(line.last("algorithm") ?? "sha256");
      const encoding = parseEncoding(line.last("as"));
      for (const operand of line.operands) io.out(`${show(hash(operand, algo), encoding)}\n`);
      return 0;
    },
  );
}

const path = hashCommand(
  "path",
  "Hash a file or directory as a NAR",
  "FILE",
  "A tree, as store paths have it",
  (file, algo) => {
    return hashTree(absolutePath(file as Parameters<typeof absolutePath>[0]), algo).hash;
  },
);

const file = hashCommand("file", "Hash the contents of a file", "FILE", "As sha256sum, in SRI form", (name, algo) => {
  const hasher = createHash(algo);
  walkTree(
    absolutePath(name as Parameters<typeof absolutePath>[0]),
    visitorOfContents(name, (chunk) => void hasher.update(chunk)),
  );
  return { algo, bytes: new Uint8Array(hasher.digest()) };
});

const text = hashCommand("text", "Hash the operand itself", "TEXT", "The hash of five letters", (contents, algo) =>
  hashBytes(algo, contents),
);

const convert = commandApplet(
  {
    name: "silo hash convert",
    family: "silo",
    summary: "Print a hash in another encoding",
    usage: ["[--algorithm ALGORITHM] [--as ENCODING] HASH…"],
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
    for (const hash of line.operands) {
      const parsed = parseHash(hash, algo === undefined ? undefined : parseHashAlgo(algo));
      io.out(`${show(parsed, encoding)}\n`);
    }
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
