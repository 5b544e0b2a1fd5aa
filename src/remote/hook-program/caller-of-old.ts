/**
 * The build hook's protocol of Nix 1.7, in lines:
 *
 *     <am willing: 0 or 1> <system> <derivation> <features, with commas>
 *     <inputs, with a space behind each>                       after accept
 *     <outputs, with a space behind each>
 *
 * Replies are lines on standard error: `# decline`, `# postpone`, `# accept`. Arguments are the local system, max-silent-time, 0 or 1 for
 * whether to print traces, and build-timeout.
 */
import { type ByteString, encodeBytes } from "../../formats/byte-string.ts";
import { SiloError } from "../../error.ts";
import { parseFullStorePath, printStorePath, type StoreDir } from "../../formats/store-path.ts";
import { writeAll } from "../../sys/descriptor.ts";
import type { FdReader } from "../../sys/fd-reader.ts";
import { type HookCaller, logFd, replyFd } from "./caller.ts";

export class BadHookRequest extends SiloError {
  readonly code = "bad-hook-request";
  constructor(readonly line: string) {
    super(`Cannot understand the build hook request ${JSON.stringify(line.slice(0, 200))}`);
  }
}

/** Bytes of a line at most: the inputs of a very large derivation. */
const maxLineBytes = 256 * 1024 * 1024;

/** @param hostOf what the trace calls the machine of a URI */
export function callerOfOld(
  reader: FdReader,
  storeDir: StoreDir,
  trace: "printed" | "not-printed",
  hostOf: (uri: string) => string,
): HookCaller {
  const line = (text: string) => writeAll(replyFd, encodeBytes(`${text}\n`));
  const paths = () =>
    readLine(reader)
      .split(" ")
      .filter((path) => path !== "")
      .map((path) => parseFullStorePath(storeDir, path));
  return {
    nextRequest() {
      if (reader.atEnd()) return undefined;
      const request = readLine(reader);
      const [, willing, system, drv, features] = /^([01]) (\S+) (\S+) ?(\S*)$/.exec(request) ?? [];
      if (drv === undefined) throw new BadHookRequest(request);
      return {
        amWilling: willing === "1",
        system: system as ByteString,
        drvPath: parseFullStorePath(storeDir, drv),
        features: features!.split(",").filter((each) => each !== "") as ByteString[],
      };
    },
    decline: () => line("# decline"),
    declineForGood: () => line("# decline"),
    postpone: () => line("# postpone"),
    accept(uri, { drvPath }) {
      line("# accept");
      const inputs = paths();
      const outputs = new Set(paths());
      if (trace === "printed") line(`@ build-remote ${printStorePath(storeDir, drvPath)} ${hostOf(uri)}`);
      return { inputs, outputs: { paths: outputs } };
    },
    writeLog: (bytes) => writeAll(logFd, bytes),
    say: line,
  };
}

function readLine(reader: FdReader): string {
  let line = "";
  for (;;) {
    const byte = reader.take(1)[0]!;
    if (byte === 0x0a) return line;
    line += String.fromCharCode(byte);
    if (line.length > maxLineBytes) throw new BadHookRequest(line);
  }
}
