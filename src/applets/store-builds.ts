/** Building in whichever store was opened, until Ctrl-C. */
import type { BuildService } from "../store/build-service.ts";
import type { Store } from "../store/store.ts";
import { StoreNotSupported } from "./open-store.ts";
import type { Session } from "./session.ts";

/** A signal makes `use`'s abort; a second one ends the program at once. */
export async function withBuilds<T>(
  session: Session,
  store: Store,
  use: (builds: BuildService, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  // The client of a daemon blocks: a signal ends this program, the connection with it, and the daemon ends the builds.
  if (store.local === undefined) return use(remoteBuilds(store), controller.signal);
  const interrupt = () => controller.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.once(signal, interrupt);
  try {
    const { openBuildService } = await import("./build-service.ts");
    const { buildTrace } = session.flags;
    const failureLog = session.talk().builderOutput === "only-of-failures" ? "silo log" : "none";
    const builds = openBuildService(store.local, { env: session.io.env, failureLog, buildTrace });
    try {
      return await use(builds, controller.signal);
    } finally {
      builds.close();
    }
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
  }
}

/** A daemon's store brings its own. */
function remoteBuilds(store: Store & { readonly build?: BuildService }): BuildService {
  if (store.build !== undefined) return store.build;
  throw new StoreNotSupported("this store cannot build");
}
