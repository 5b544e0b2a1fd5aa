/**
 * nix-daemon, and `silo daemon`: does the privileged work on the store for other users (src/daemon/server). The daemon starts itself again for
 * every connection, so that those processes load little: not even the command line's parser.
 */
import type { Applet } from "./applet.ts";
import type { Io } from "./io.ts";

/** What the daemon starts its own processes with, and in front of the store to serve; nobody else does. */
export const connectionFlag = "--serve-connection";

export const nixDaemon: Applet = daemonApplet("nix-daemon", "nix");
export const siloDaemon: Applet = daemonApplet("silo daemon", "silo");

function daemonApplet(name: string, family: "nix" | "silo"): Applet {
  return {
    name,
    summary: "Serve the store to other users of this machine",
    async run(args, io: Io) {
      if (args[0] === connectionFlag) {
        const { serveNext } = await import("./daemon/serve-next.ts");
        return serveNext(args[1], io);
      }
      const { daemonCommand } = await import("./daemon/daemon-command.ts");
      return daemonCommand(name, family).run(args, io);
    },
  };
}
