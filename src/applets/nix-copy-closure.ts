/** nix-copy-closure: closures to and from machines that ssh reaches. */
import { UsageError } from "../error.ts";
import type { ByteString } from "../formats/byte-string.ts";
import { toText } from "../formats/byte-string.ts";
import type { StorePath } from "../formats/store-path.ts";
import { copyClosureFrom, copyClosureTo, type CopyOptions, type CopyResult } from "../remote/copy-closure.ts";
import { copyWithoutServe } from "../remote/old/copy-without-serve.ts";
import { type RemoteMachine, refusesToServe, remoteMachine } from "../remote/open-remote-store.ts";
import { relayClosure } from "../remote/relay.ts";
import { isSshStore, parseStoreUri, type RemoteStoreAddress } from "../remote/store-uri.ts";
import type { LocalStore } from "../store/local-store.ts";
import { commandApplet, type CommandLine } from "./command-line.ts";
import type { Io } from "./io.ts";
import { requireLocal, storeLocation, withStore } from "./open-store.ts";
import { followToStorePath, parsePathArgument } from "./path-argument.ts";
import { openSession, type Session } from "./session.ts";

const options = {
  to: { help: "Copy from here to HOST, as is the default" },
  from: { help: "Copy from HOST to here" },
  "include-outputs": { help: "Of derivations, copy their outputs, too" },
  "use-substitutes": { letter: "s", help: "Have the receiver fetch what it can from its substituters" },
  gzip: { help: "Compress what travels" },
  bzip2: { help: "The same: ssh compresses in one way" },
  xz: { help: "The same" },
  "show-progress": { help: "Progress is shown on any terminal; for compatibility" },
  "dry-run": { help: "Say what would be copied" },
  sign: { help: "Sign what is sent to a Nix 1.7, with the key signing-key.sec in the configuration directory" },
} as const;

export const nixCopyClosure = commandApplet(
  {
    name: "nix-copy-closure",
    family: "nix",
    summary: "Copy a closure to or from a remote machine via SSH",
    usage: ["[--to] [USER@]HOST PATHS…", "--from [USER@]HOST PATHS…"],
    examples: [
      {
        does: "A program with all it needs, to a machine",
        command: "nix-copy-closure --to alice@server $(type -p firefox)",
      },
      {
        does: "From a machine",
        command: "nix-copy-closure --from alice@server /nix/store/0dj0503hjxy5mbwlafv1rsbdiyx1gkdy-subversion-1.4.4",
      },
    ],
    options,
  },
  runCopy,
);

async function runCopy(line: CommandLine<keyof typeof options>, io: Io): Promise<number> {
  if (line.has("to") && line.has("from")) throw new UsageError("'--to' and '--from' exclude each other");
  const [host, ...paths] = line.operands;
  if (host === undefined) throw new UsageError("no host name specified");
  const compress = line.has("gzip") || line.has("bzip2") || line.has("xz");
  const session = openSession(line, io);
  const address = copyAddress(host, compress ? "compress" : "plain");
  await copy(session, address, line.has("from") ? "from" : "to", paths, {
    outputs: line.has("include-outputs") ? "include" : "leave-out",
    substitute: line.has("use-substitutes") ? "use" : "no",
    run: line.has("dry-run") ? "dry" : "copy",
  });
  return 0;
}

/** A host as nix-copy-closure takes it, or a whole URI. */
export function copyAddress(host: ByteString, compression: "compress" | "plain"): RemoteStoreAddress {
  const uri = toText(host);
  const address = parseStoreUri(isSshStore(uri) ? uri : `ssh://${uri}`);
  return { ...address, compress: address.compress || compression === "compress" };
}

/** Between the store that the session is about and another machine's. */
export async function copy(
  session: Session,
  address: RemoteStoreAddress,
  direction: "to" | "from",
  paths: readonly ByteString[],
  options: CopyOptions,
): Promise<CopyResult> {
  const location = storeLocation(session);
  const storeDir = location.kind === "local" ? location.directories.storeDir : session.directories.storeDir;
  const roots: StorePath[] = paths.map((path) =>
    direction === "to" ? followToStorePath(storeDir, path) : parsePathArgument(storeDir, path),
  );
  const { io, settings, reporter } = session;
  const connectTimeoutMs = settings.get("connect-timeout") * 1000;
  const machine = remoteMachine(address, storeDir, { env: io.env, reporter, connectTimeoutMs, attempts: 3 });
  try {
    if (location.kind === "daemon") {
      return await copyThroughDaemon(session, location.socket, machine, direction, roots, options);
    }
    return await withStore(session, (store) => copyLocally(requireLocal(store), machine, direction, roots, options));
  } finally {
    machine.close();
  }
}

async function copyLocally(
  store: LocalStore,
  machine: RemoteMachine,
  direction: "to" | "from",
  roots: readonly StorePath[],
  options: CopyOptions,
): Promise<CopyResult> {
  try {
    const remote = await machine.open();
    try {
      return direction === "to"
        ? await copyClosureTo(store, remote, roots, options)
        : await copyClosureFrom(store, remote, roots, options, () => machine.open());
    } finally {
      remote.close();
    }
  } catch (error) {
    if (!refusesToServe(error)) throw error;
    const copied = await copyWithoutServe(store, machine.connections, direction, roots, options);
    return { paths: copied, narSize: 0 };
  }
}

/** For users who may not open the store: the daemon is asked, and trusts them or not. */
async function copyThroughDaemon(
  { reporter, directories }: Session,
  socket: string,
  machine: RemoteMachine,
  direction: "to" | "from",
  roots: readonly StorePath[],
  options: CopyOptions,
): Promise<CopyResult> {
  const { openDaemonEnd } = await import("../remote/daemon-end.ts");
  const daemon = await openDaemonEnd(socket, directories.storeDir);
  try {
    const remote = await machine.open();
    try {
      const [source, sink] = direction === "to" ? [daemon, remote] : [remote, daemon];
      return await relayClosure(source, sink, roots, options, reporter);
    } finally {
      remote.close();
    }
  } finally {
    daemon.close();
  }
}
