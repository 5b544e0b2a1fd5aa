/**
 * `--read-log`: what builders printed. Logs are below the log directory, at `drvs/<first two characters>/<the rest of the
 * derivation's base name>`, in older stores at `drvs/<base name>`, plain or compressed (`.bz2`).
 */
import { SiloError } from "../../error.ts";
import { bzip2Decoder } from "../../formats/bzip2/decode.ts";
import { isDerivationPath, printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { Store } from "../../store/store.ts";
import { close, O_RDONLY, read, tryOpenAt } from "../../sys/descriptor.ts";
import { AT_FDCWD } from "../../sys/syscall.ts";
import { SystemError } from "../../sys/system-error.ts";
import { storeLocation, withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import type { Session } from "../session.ts";
import type { OperationContext } from "./operation.ts";

export class NoLog extends SiloError {
  readonly code = "no-log";
  constructor(readonly path: string) {
    super(`build log of derivation '${path}' is not available`);
  }
}

export async function readLogs({ session, operands }: OperationContext): Promise<number> {
  return withStore(session, (store) => {
    for (const operand of operands) {
      const path = followToStorePath(store.storeDir, operand);
      if (!printLog(session, store, path)) throw new NoLog(printStorePath(store.storeDir, path));
    }
    return 0;
  });
}

/** False when there is no log. @throws BadBzip2 */
function printLog(session: Session, store: Store, path: StorePath): boolean {
  const drvPath = isDerivationPath(path) ? path : store.queryPathInfo(path)?.deriver;
  if (drvPath === undefined) return false;
  const drvs = `${logDirectory(session)}/drvs`;
  for (const file of [`${drvs}/${drvPath.slice(0, 2)}/${drvPath.slice(2)}`, `${drvs}/${drvPath}`]) {
    const out = (chunk: Uint8Array) => session.io.out(chunk);
    if (readChunks(file, out)) return true;
    const decoder = bzip2Decoder(out);
    if (readChunks(`${file}.bz2`, (chunk) => decoder.feed(chunk))) {
      decoder.finish();
      return true;
    }
  }
  return false;
}

function logDirectory(session: Session): string {
  const location = storeLocation(session);
  return location.kind === "local" ? location.directories.logDir : session.directories.logDir;
}

const ENOENT = 2;

/** False when there is no such file. @throws SystemError */
function readChunks(file: string, onBytes: (chunk: Uint8Array) => void): boolean {
  const fd = tryOpenAt(AT_FDCWD, file, O_RDONLY);
  if (fd === -ENOENT) return false;
  if (fd < 0) throw new SystemError(`opening file '${file}'`, -fd);
  const buffer = Buffer.allocUnsafeSlow(256 * 1024);
  try {
    for (let size = read(fd, buffer); size > 0; size = read(fd, buffer)) onBytes(buffer.subarray(0, size));
  } finally {
    close(fd);
  }
  return true;
}
