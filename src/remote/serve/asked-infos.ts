/** What a server answers when asked about paths; it may be wrong or evil. */
import type { ServePathInfo } from "../../formats/serve-protocol/commands.ts";
import type { StorePath } from "../../formats/store-path.ts";
import { BadWire } from "../../formats/wire.ts";
import type { RemotePathInfo } from "../remote-store.ts";

/** Whoever asks takes all that comes for what was wanted. @throws BadWire for a path of which nobody has asked */
export function askedInfos(
  paths: readonly StorePath[],
  infos: readonly ServePathInfo[],
): Map<StorePath, RemotePathInfo> {
  const asked = new Set(paths);
  const unasked = infos.find(({ path }) => !asked.has(path));
  if (unasked !== undefined) throw new BadWire("infos of paths", `nobody has asked about '${unasked.path}'`);
  return new Map(infos.map((info) => [info.path, { ...info, registrationTimeSec: 0, ultimate: false }]));
}
