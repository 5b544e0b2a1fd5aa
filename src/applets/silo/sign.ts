/** `silo sign`: signatures on valid paths, so that others who trust the key take them. */
import { UsageError } from "../../error.ts";
import { CannotSign, parseSecretKey, printFingerprint, signText } from "../../formats/signature.ts";
import { readSmallFile } from "../../sys/descriptor.ts";
import { commandApplet } from "../command-line.ts";
import { withStore } from "../open-store.ts";
import { absolutePath, followToStorePath } from "../path-argument.ts";
import { openSession } from "../session.ts";

/** Bytes: far more than a key has. */
const maxKeySize = 4096;

export const sign = commandApplet(
  {
    name: "silo sign",
    family: "silo",
    summary: "Sign store paths",
    usage: ["--key-file FILE [--recursive] PATHS…"],
    examples: [{ does: "A result and all it needs", command: "silo sign --key-file secret -r ./result" }],
    options: {
      "key-file": { operands: ["FILE"], help: "The secret key, as 'silo key generate' prints it" },
      recursive: { letter: "r", help: "The closures of the paths, too" },
    },
  },
  (line, io) =>
    withStore(openSession(line, io), (store) => {
      const file = line.last("key-file");
      if (file === undefined || line.operands.length === 0)
        throw new UsageError("'silo sign' needs '--key-file' and paths");
      const key = parseSecretKey(readSmallFile(absolutePath(file), maxKeySize).toString("latin1"));
      const paths = line.operands.map((each) => followToStorePath(store.storeDir, each));
      for (const path of line.has("recursive") ? store.computeClosure(paths) : paths) {
        const { narSize, ...info } = store.requirePathInfo(path);
        if (narSize === undefined)
          throw new CannotSign(path, "the size of its NAR is not known; 'silo verify' finds it out");
        store.addSignatures(path, [signText(printFingerprint(store.storeDir, { ...info, narSize }), key)]);
      }
      return 0;
    }),
);
