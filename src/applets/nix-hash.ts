/**
 * nix-hash: the hash of files or trees, or one hash in another form. Unlike elsewhere in Nix, what is asked for without
 * `--type` is md5, and what is printed without a form is base16.
 */
import { UsageError } from "../error.ts";
import type { ByteString } from "../formats/byte-string.ts";
import {
  compressHash,
  type Hash,
  type HashAlgo,
  isHashAlgo,
  parseHash,
  printBareHash,
  printSri,
} from "../formats/hash.ts";
import { hashTree } from "../store/tree/nar-hash.ts";
import { streamHash } from "../store/tree/stream-hash.ts";
import { O_RDONLY, open, read, withDescriptor } from "../sys/descriptor.ts";
import { fstat } from "../sys/stat.ts";
import { isSystemError, SystemError } from "../sys/system-error.ts";
import { type CommandLine, commandApplet } from "./command-line.ts";
import type { OptionTable } from "./command-line/option-spec.ts";

const options = {
  flat: { help: "Hash the contents of files, instead of trees (their NAR)" },
  type: { operands: ["ALGORITHM"], help: "md5, which is the default, sha1, sha256 or sha512" },
  truncate: { help: "Fold what is longer than 160 bits to 160 bits" },
  base16: { help: "Print in base 16; the default" },
  base32: { help: "Print in Nix's base 32" },
  base64: { help: "Print in base 64" },
  sri: { help: "Print as ALGORITHM-BASE64" },
  "to-base16": { help: "Operands are hashes: convert them to base 16" },
  "to-base32": { help: "Operands are hashes: convert them to Nix's base 32" },
  "to-base64": { help: "Operands are hashes: convert them to base 64" },
  "to-sri": { help: "Operands are hashes: convert them to ALGORITHM-BASE64" },
} as const satisfies OptionTable;

type Option = keyof typeof options;
const forms = ["base16", "base32", "base64", "sri"] as const;
type Form = (typeof forms)[number];

export const nixHash = commandApplet<Option>(
  {
    name: "nix-hash",
    family: "nix",
    summary: "Compute or convert cryptographic hashes",
    usage: [
      "[--flat] [--base32 | --base64 | --sri] [--truncate] [--type ALGORITHM] FILES…",
      "--to-base16 | --to-base32 | --to-base64 | --to-sri [--type ALGORITHM] HASHES…",
    ],
    examples: [
      { does: "As nix-prefetch-url prints it", command: "nix-hash --type sha256 --flat --base32 FILE" },
      { does: "Of a directory", command: "nix-hash --type sha256 ./src" },
      {
        does: "From base 32 to base 16",
        command: "nix-hash --type sha1 --to-base16 nvd61k9nalji1zl9rrdfmsmvyyjqpzg4",
      },
    ],
    options,
    groups: {
      Hashing: ["flat", "type", "truncate", ...forms],
      Converting: ["to-base16", "to-base32", "to-base64", "to-sri"],
    },
  },
  (line, io) => {
    const algo = algorithmOf(line);
    const target = forms.findLast((form) => line.has(`to-${form}`));
    for (const operand of line.operands) {
      const hash =
        target === undefined ? hashFile(line, algo ?? "md5", operand) : parseHash(operand, algo ?? guess(operand));
      io.out(`${printForm(hash, target ?? forms.findLast((form) => line.has(form)) ?? "base16")}\n`);
    }
    return 0;
  },
);

function algorithmOf(line: CommandLine<Option>): HashAlgo | undefined {
  const name = line.last("type");
  if (name !== undefined && !isHashAlgo(name)) throw new UsageError(`unknown hash algorithm '${name}'`);
  return name;
}

/** What a hash is of that does not say: md5. */
function guess(text: string): HashAlgo | undefined {
  return /[:-]/.test(text) ? undefined : "md5";
}

function hashFile(line: CommandLine<Option>, algo: HashAlgo, file: ByteString): Hash {
  const hash = line.has("flat") ? hashContents(algo, file) : hashTree(file, algo).hash;
  const truncatedSize = 20;
  if (!line.has("truncate") || hash.bytes.length <= truncatedSize) return hash;
  return { algo, bytes: compressHash(hash.bytes, truncatedSize) };
}

/** Links are followed, and pipes read to their end. @throws SystemError */
function hashContents(algo: HashAlgo, file: ByteString): Hash {
  const hasher = streamHash(algo);
  const buffer = Buffer.allocUnsafeSlow(256 * 1024);
  withDescriptor(open(file, O_RDONLY), (fd) => {
    hasher.expect(fstat(fd).size);
    try {
      for (let size = read(fd, buffer); size > 0; size = read(fd, buffer)) hasher.update(buffer.subarray(0, size));
    } catch (error) {
      throw isSystemError(error) ? new SystemError(`reading file '${file}'`, error.errno) : error;
    }
  });
  return { algo, bytes: hasher.digest() };
}

function printForm(hash: Hash, form: Form): string {
  return form === "sri" ? printSri(hash) : printBareHash(hash, form);
}
