/** `silo key`: pairs of keys that sign store paths. */
import { UsageError } from "../../error.ts";
import { generateKey, parseSecretKey, printKey, publicKeyOf } from "../../formats/signature.ts";
import { readSmallFile } from "../../sys/descriptor.ts";
import { commandApplet } from "../command-line.ts";
import { commandGroup } from "./command-group.ts";

/** Bytes: far more than a key has. */
const maxKeySize = 4096;

const generate = commandApplet(
  {
    name: "silo key generate",
    family: "silo",
    summary: "Print a new secret key",
    usage: ["NAME"],
    examples: [
      {
        does: "A key, and its public half for the trusted-public-keys of others",
        command: "(umask 077; silo key generate cache.example.org-1 > secret) && silo key public < secret",
      },
    ],
    options: {},
  },
  (line, io) => {
    const [name, ...more] = line.operands;
    if (name === undefined || more.length > 0)
      throw new UsageError("'silo key generate' needs one name, such as cache.example.org-1");
    io.out(`${printKey(generateKey(name))}\n`);
    return 0;
  },
);

const publicHalf = commandApplet(
  {
    name: "silo key public",
    family: "silo",
    summary: "Print the public half of the secret key on standard input",
    usage: [""],
    examples: [{ does: "For trusted-public-keys in nix.conf", command: "silo key public < secret" }],
    options: {},
  },
  (line, io) => {
    if (line.operands.length > 0) throw new UsageError("'silo key public' reads the secret key from standard input");
    const secret = parseSecretKey(readSmallFile("/dev/stdin", maxKeySize).toString("latin1"));
    io.out(`${printKey(publicKeyOf(secret))}\n`);
    return 0;
  },
);

export const key = commandGroup({
  name: "silo key",
  summary: "Make keys that sign store paths",
  commands: {
    generate: { summary: generate.summary, load: async () => generate },
    public: { summary: publicHalf.summary, load: async () => publicHalf },
  },
});
