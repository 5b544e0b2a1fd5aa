/** Built-in builders: they run in the stage, isolated as any builder is, and write their log as any builder does. */
import { SiloError } from "../../error.ts";
import { fromText } from "../../formats/byte-string.ts";
import { writeAll } from "../../sys/descriptor.ts";
import type { BuiltinTask } from "../stage-task.ts";
import { BuiltinFailure } from "./attributes.ts";
import { buildEnvironment } from "./build-environment.ts";
import { fetchUrl } from "./fetch-url.ts";
import { fetchTarball, unpackArchive } from "./unpack-archive.ts";
import { unpackChannel } from "./unpack-channel.ts";

/** The exit status. */
export async function runBuiltin(task: BuiltinTask): Promise<number> {
  try {
    const attributes = new Map(task.attributes);
    switch (task.name) {
      case "fetchurl":
        await fetchUrl(attributes, task.downloads);
        return 0;
      case "buildenv":
        buildEnvironment(attributes);
        return 0;
      case "fetch-tarball":
        await fetchTarball(attributes, task.downloads);
        return 0;
      case "unpack":
        await unpackArchive(attributes);
        return 0;
      case "unpack-channel":
        await unpackChannel(attributes);
        return 0;
      default:
        throw new BuiltinFailure(`unsupported builtin builder '${task.name}'`);
    }
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    // Messages hold file names as bytes, and text where it came from elsewhere.
    const bytes = /[^\x00-\xff]/.test(error.message) ? fromText(error.message) : error.message;
    writeAll(2, Buffer.from(`error: ${bytes}\n`, "latin1"));
    return 1;
  }
}
