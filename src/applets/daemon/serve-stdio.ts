/** `--stdio`: whoever has started us is the client. */
import { splice } from "../../daemon/server/splice.ts";
import { settingText } from "../../formats/settings/settings.ts";
import { openLocalStore } from "../../store/open-local-store.ts";
import { writeAll } from "../../sys/descriptor.ts";
import { fdReader } from "../../sys/fd-reader.ts";
import { isHungUp } from "../../sys/poll.ts";
import { connectUnix } from "../../sys/unix-socket.ts";
import type { Session } from "../session.ts";
import { locateStore } from "../store-location.ts";
import { servedDirectories, serveClient } from "./served-store.ts";

export async function serveStdio({ io, directories, settings }: Session): Promise<number> {
  const text = settingText(settings, "store");
  const location = locateStore(text, directories);
  if (location.kind === "daemon") {
    splice(io.stdinFd, io.stdoutFd, connectUnix(location.socket));
    return 0;
  }
  await serveClient(
    {
      input: fdReader(io.stdinFd, "the client"),
      write: (bytes) => writeAll(io.stdoutFd, bytes),
      isGone: () => isHungUp(io.stdinFd) || isHungUp(io.stdoutFd),
      peer: { trust: "trusted", uid: undefined },
    },
    {
      directories: servedDirectories(text, directories),
      settings,
      openStore: openLocalStore,
      log: (line) => io.err(line),
    },
  );
  return 0;
}
