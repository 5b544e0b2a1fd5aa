/** `--import`: the stream of `--export` into the store. Prints the paths when all are in. */
import { SiloError } from "../../error.ts";
import { type FdReader, fdReader } from "../../sys/fd-reader.ts";
import { withStore } from "../open-store.ts";
import { isSystemError } from "../../sys/system-error.ts";
import type { OperationContext } from "./operation.ts";
import { refuseOperands } from "./operation-usage.ts";
import { printPaths } from "./print-paths.ts";
import { itemVerifier } from "./signing-key.ts";

/** Says how far the input was read when it turned out to be bad. */
export class CannotImport extends SiloError {
  readonly code = "cannot-import";
  constructor(
    /** Bytes from the beginning of the input. */
    readonly offset: number,
    cause: SiloError,
  ) {
    super(`${cause.message} (before byte ${offset} of standard input)`, { cause });
  }
}

export async function importFromStdin({ session, line, operands }: OperationContext): Promise<number> {
  refuseOperands(operands);
  const { io, reporter, directories } = session;
  const verifier = line.has("require-signature") ? itemVerifier(directories.confDir) : undefined;
  await withStore(session, (store) => {
    const reader = fdReader(io.stdinFd, "standard input");
    const activity = reporter.start({ kind: "copy-paths", level: "info", text: "" });
    let done = 0;
    try {
      const paths = store.importPaths(reader, verifier, () => {
        activity.result({ kind: "progress", done: ++done, expected: 0, running: 0, failed: 0 });
      });
      activity.stop();
      printPaths(io, store.storeDir, paths);
    } catch (error) {
      activity.stop();
      throw located(error, reader);
    }
  });
  return 0;
}

/** Errors of the format, which know at most their place within an item. */
const badInput: ReadonlySet<string> = new Set(["bad-export", "bad-nar", "bad-wire", "bad-store-path"]);

function located(error: unknown, reader: FdReader): unknown {
  if (!(error instanceof SiloError) || isSystemError(error) || !badInput.has(error.code)) return error;
  return new CannotImport(reader.offset, error);
}
