/** The two descriptors of a server, and the watch on its client while a build runs. */
import { writeAll } from "../../sys/descriptor.ts";
import { fdReader } from "../../sys/fd-reader.ts";
import { isInputOver } from "../../sys/input-end.ts";
import { poll } from "../../sys/poll.ts";
import { widenPipe } from "../../sys/transfer.ts";
import type { ServeStreams } from "./server.ts";

/** Milliseconds between two looks: nobody waits for the end of a build that nobody wants. */
const watchInterval = 100;

export function serveStreams(inFd: number, outFd: number): ServeStreams {
  widenPipe(inFd);
  widenPipe(outFd);
  const reader = fdReader(inFd, "standard input");
  return {
    reader,
    hasInput: () => reader.buffered > 0 || poll([{ fd: inFd, wait: "readable" }], 0)[0]!.readable,
    write: (bytes) => writeAll(outFd, bytes),
    async untilHangUp(run) {
      const controller = new AbortController();
      const timer = setInterval(() => {
        if (isInputOver(inFd)) controller.abort();
      }, watchInterval);
      try {
        return await run(controller.signal);
      } finally {
        clearInterval(timer);
      }
    },
  };
}
