/** `--serve`: the serve protocol on standard input and output, for a client behind ssh. Also `silo serve`. */
import type { DaemonStore } from "../../daemon/client/daemon-store.ts";
import type { ByteString } from "../../formats/byte-string.ts";
import { runSync } from "../../formats/codec.ts";
import { readNar } from "../../formats/nar/read-nar.ts";
import { ignoreNar } from "../../formats/nar/visitor.ts";
import type { ServeBuildSettings } from "../../formats/serve-protocol/commands.ts";
import { fromClient } from "../../formats/settings/source.ts";
import { type Assignment, type Settings, withSettings } from "../../formats/settings/settings.ts";
import { tee } from "../../formats/tee.ts";
import { operations } from "../../formats/worker-protocol/operations.ts";
import { localIncomingPaths } from "../../remote/serve/incoming-paths.ts";
import { type IncomingPaths, serve } from "../../remote/serve/server.ts";
import { serveStreams } from "../../remote/serve/serve-streams.ts";
import type { BuildService } from "../../store/build-service.ts";
import type { LocalStore } from "../../store/local-store.ts";
import type { Reporter } from "../../store/reporter.ts";
import type { Store } from "../../store/store.ts";
import type { OpenBuildService } from "../build-service.ts";
import { StoreNotSupported, withStore } from "../open-store.ts";
import type { Session } from "../session.ts";
import type { OperationContext } from "./operation.ts";
import { refuseOperands } from "./operation-usage.ts";

export async function serveClient({ session, line, operands }: OperationContext): Promise<number> {
  refuseOperands(operands);
  const access = line.has("write") ? "write" : "read-only";
  await withStore(session, async (store) => {
    const { io } = session;
    const builds = servedBuilds(session, store);
    const incoming = store.local === undefined ? daemonIncomingPaths(store) : localIncomingPaths(store.local);
    try {
      const served = { store, access, incoming, openBuilds: builds.open } as const;
      await serve(served, serveStreams(io.stdinFd, io.stdoutFd));
    } finally {
      builds.close();
    }
  });
  return 0;
}

function servedBuilds(session: Session, store: Store) {
  let current: { readonly settings: ServeBuildSettings; readonly service: OpenBuildService } | undefined;
  return {
    async open(settings: ServeBuildSettings): Promise<BuildService> {
      if (store.local === undefined) return daemonStore(store).build;
      if (current !== undefined && isSame(current.settings, settings)) return current.service;
      current?.service.close();
      const { openBuildService } = await import("../build-service.ts");
      const served: LocalStore = {
        ...store.local,
        settings: settingsForClient(store.local.settings, settings),
        reporter: buildersOnly(session.reporter),
      };
      const options = { env: session.io.env, failureLog: "none", buildTrace: "not-printed" } as const;
      current = { settings, service: openBuildService(served, options) };
      return current.service;
    },
    close: () => current?.service.close(),
  };
}

/** The client keeps the log, and sends what is needed: it has been asked for what could be fetched. */
function settingsForClient(settings: Settings, wanted: ServeBuildSettings): Settings {
  const values: Readonly<Record<string, string>> = {
    "max-silent-time": String(wanted.maxSilentTimeSec),
    timeout: String(wanted.buildTimeoutSec),
    "max-build-log-size": String(wanted.maxLogSize),
    "keep-failed": String(wanted.keepFailed),
    "keep-build-log": "false",
  };
  const assignments = Object.entries(values).map(
    ([name, value]): Assignment => ({ name: name as ByteString, value: value as ByteString, source: fromClient }),
  );
  return withSettings(settings, assignments);
}

/** The client takes standard error for the builder's log. */
function buildersOnly(reporter: Reporter): Reporter {
  return {
    message(level, text) {
      if (level === "error") reporter.message(level, text);
    },
    start: (activity) => reporter.start({ ...activity, text: "" }),
  };
}

function isSame(a: ServeBuildSettings, b: ServeBuildSettings): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Where other users than the store's owner log in, what they send goes to the daemon, which trusts them or not. */
function daemonIncomingPaths(store: Store): IncomingPaths {
  const { connection } = daemonStore(store);
  return {
    add({ path, ...info }, reader) {
      if (store.isValidPath(path)) return;
      const request = { path, info, repair: false, skipSignatures: true };
      const upload = (onBytes: (bytes: Uint8Array) => void) => runSync(tee(readNar(ignoreNar), onBytes), reader);
      connection.call(operations.addToStoreNar, request, { upload });
    },
    flush() {},
  };
}

function daemonStore(store: Store & Partial<DaemonStore>): Pick<DaemonStore, "build" | "connection"> {
  const { build, connection } = store;
  if (build === undefined || connection === undefined) throw new StoreNotSupported("this store cannot be served");
  return { build, connection };
}
