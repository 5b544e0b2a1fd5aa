/**
 * The build hook's protocol of Nix 2.x. Requests come in the primitives of the worker protocol:
 *
 *     {u64 1, string name, string value}... u64 0             settings
 *     string "try", u64 am willing, string system, path, list features      requests
 *     list inputs, list output names                           after accept
 *
 * Replies are lines on standard error: `# decline`, `# decline-permanently`, `# postpone`, `# accept` with the machine's URI on the next.
 */
import { type ByteString, toText } from "../../formats/byte-string.ts";
import { runSync } from "../../formats/codec.ts";
import { parseFullStorePath, type StoreDir } from "../../formats/store-path.ts";
import { readBool, readNumber, readString, readStrings } from "../../formats/wire.ts";
import { writeAll } from "../../sys/descriptor.ts";
import type { FdReader } from "../../sys/fd-reader.ts";
import { type HookCaller, logFd, replyFd } from "./caller.ts";

const maxSettings = 10_000;
const maxValueBytes = 16 * 1024 * 1024;
const limits = { maxCount: 16_000_000, maxBytes: 65_536 };

/** What the caller's settings are; read before anything else. */
export function readCallerSettings(reader: FdReader): [name: ByteString, value: ByteString][] {
  const settings: [ByteString, ByteString][] = [];
  while (settings.length < maxSettings && runSync(readNumber("setting", 1), reader) === 1) {
    const name = runSync(readString("name of setting", limits.maxBytes), reader);
    settings.push([name, runSync(readString("value of setting", maxValueBytes), reader)]);
  }
  return settings;
}

export function callerOfToday(reader: FdReader, storeDir: StoreDir): HookCaller {
  const line = (text: string) => writeAll(replyFd, Buffer.from(`${text}\n`));
  return {
    nextRequest() {
      if (reader.atEnd() || runSync(readString("request", 100), reader) !== "try") return undefined;
      const amWilling = runSync(readBool(), reader);
      const system = runSync(readString("system", limits.maxBytes), reader);
      const drvPath = parseFullStorePath(storeDir, runSync(readString("derivation", limits.maxBytes), reader));
      const features = runSync(readStrings("features", { maxCount: 10_000, maxBytes: limits.maxBytes }), reader);
      return { amWilling, system, drvPath, features };
    },
    decline: () => line("# decline"),
    declineForGood: () => line("# decline-permanently"),
    postpone: () => line("# postpone"),
    accept(uri) {
      line(`# accept\n${uri}`);
      const inputs = runSync(readStrings("inputs", limits), reader);
      const names = runSync(readStrings("outputs", limits), reader);
      return { inputs: inputs.map((path) => parseFullStorePath(storeDir, path)), outputs: { names: new Set(names) } };
    },
    writeLog: (bytes) => writeAll(logFd, bytes),
    // After accept only such lines are shown.
    say: (text) => line(`@nix ${JSON.stringify({ action: "msg", level: 0, msg: toText(text) })}`),
  };
}
