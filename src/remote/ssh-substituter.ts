/** Stores that ssh reaches as substituters: one connection and one conversation for all that is asked and fetched. */
import { SiloError } from "../error.ts";
import type { NarVisitor } from "../formats/nar/visitor.ts";
import type { StoreDir, StorePath } from "../formats/store-path.ts";
import type { Reporter } from "../store/reporter.ts";
import type { SubstitutablePathInfo, Substituter } from "../store/substituter.ts";
import type { ConnectionOptions } from "./machine-connections.ts";
import { remoteMachine } from "./open-remote-store.ts";
import type { RemotePathInfo, RemoteStore } from "./remote-store.ts";
import type { RemoteStoreAddress } from "./store-uri.ts";

/** Milliseconds for which a substituter that cannot be reached is not tried again. */
const asideMs = 60_000;

/** Connects when first asked. */
export function sshSubstituter(
  address: RemoteStoreAddress,
  storeDir: StoreDir,
  options: ConnectionOptions,
): Substituter {
  const { name } = address;
  const machine = remoteMachine(address, storeDir, options);
  let opened: Promise<RemoteStore> | undefined;
  let asideUntil = 0;
  const infos = new Map<StorePath, RemotePathInfo>();

  function open(): Promise<RemoteStore> {
    opened ??= machine.open();
    return opened;
  }

  /** Without a connection it has nothing, which is said once in a while. */
  async function ask<T>(question: (remote: RemoteStore) => Promise<T>, nothing: T): Promise<T> {
    if (Date.now() < asideUntil) return nothing;
    try {
      return await question(await open());
    } catch (error) {
      giveUp(options.reporter, error);
      return nothing;
    }
  }

  function giveUp(reporter: Reporter, error: unknown): void {
    if (!(error instanceof SiloError)) throw error;
    opened = undefined;
    asideUntil = Date.now() + asideMs;
    reporter.message("warning", `warning: substituter '${name}' is not used for a while: ${error.message}`);
  }

  async function info(paths: readonly StorePath[]): Promise<ReadonlyMap<StorePath, SubstitutablePathInfo>> {
    const found = await ask((remote) => remote.queryPathInfos(paths), new Map<StorePath, RemotePathInfo>());
    for (const [path, each] of found) infos.set(path, each);
    return new Map([...found].map(([path, each]) => [path, { ...each, downloadSize: each.narSize }]));
  }

  return {
    name,
    priority: address.priority ?? 0,
    trusted: address.trusted,
    have: (paths) => ask((remote) => remote.queryValidPaths(paths, { roots: "none", substitute: "no" }), new Set()),
    info,
    async fetch(path, visitor, signal) {
      signal.throwIfAborted();
      if (!infos.has(path)) await info([path]);
      const known = infos.get(path);
      if (known === undefined) throw new NotThere(`substituter '${name}' does not have '${path}' any more`);
      const remote = await open();
      try {
        for await (const { show } of remote.download([known])) await untilAborted(show, visitor, signal);
      } catch (error) {
        // What has broken in the middle is opened anew by the next who asks.
        if (!signal.aborted) opened = undefined;
        throw error;
      }
      return { narHash: known.narHash };
    },
    close() {
      void opened?.then((remote) => remote.close()).catch(() => {});
      machine.close();
    },
  };
}

export class NotThere extends SiloError {
  readonly code = "not-there";
}

/** What is on its way is read to its end, since other answers come behind it; nobody gets to see it. */
async function untilAborted(
  show: (visitor: NarVisitor) => Promise<void>,
  visitor: NarVisitor,
  signal: AbortSignal,
): Promise<void> {
  const shown: NarVisitor = {
    directory: (name) => void (signal.aborted || visitor.directory(name)),
    leaveDirectory: () => void (signal.aborted || visitor.leaveDirectory()),
    file: (name, kind, size) => void (signal.aborted || visitor.file(name, kind, size)),
    contents: (chunk) => void (signal.aborted || visitor.contents(chunk)),
    endFile: () => void (signal.aborted || visitor.endFile()),
    symlink: (name, target) => void (signal.aborted || visitor.symlink(name, target)),
  };
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    const done = show(shown);
    done.catch(() => {});
    await Promise.race([done, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
