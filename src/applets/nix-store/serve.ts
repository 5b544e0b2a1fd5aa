/** `--serve`: the serve protocol on standard input and output, for a client behind ssh. Also `silo serve`. */
import { localIncomingPaths } from "../../remote/serve/incoming-paths.ts";
import { serve } from "../../remote/serve/server.ts";
import { serveStreams } from "../../remote/serve/serve-streams.ts";
import { requireLocal, withStore } from "../open-store.ts";
import type { OperationContext } from "./operation.ts";
import { refuseOperands } from "./operation-usage.ts";

export async function serveClient({ session, line, operands }: OperationContext): Promise<number> {
  refuseOperands(operands);
  const { io } = session;
  await withStore(session, (store) =>
    serve(
      {
        store,
        access: line.has("write") ? "write" : "read-only",
        incoming: localIncomingPaths(requireLocal(store)),
        openBuilds: () => {
          throw new Error("not yet");
        },
      },
      serveStreams(io.stdinFd, io.stdoutFd),
    ),
  );
  return 0;
}
