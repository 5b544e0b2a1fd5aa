/**
 * Where a store is, as `--store`, NIX_REMOTE and the setting `store` say it:
 *
 *     local[?root=DIR&state=DIR&log=DIR&real=DIR&store=DIR]
 *     DIR                     a chroot store: files at DIR/nix/store, called /nix/store
 *     daemon, unix://SOCKET   the daemon of this machine
 *     ssh://HOST, ssh-ng://HOST, http://…, https://…, file://…, s3://…
 *     auto, or nothing        local for whoever may write the state, else the daemon
 *
 * See the Nix manual, "Store URL format".
 */
import { SiloError } from "../error.ts";
import type { ByteString } from "../formats/byte-string.ts";
import { canonicalPath } from "../formats/settings/canonical-path.ts";
import { parseStoreDir } from "../formats/store-path.ts";
import type { Directories } from "../store/directories.ts";
import { exists, mayAccess } from "../sys/names.ts";
import { workingDirectory } from "../sys/working-directory.ts";

export type StoreLocation =
  | { readonly kind: "local"; readonly directories: LocalDirectories }
  | { readonly kind: "daemon"; readonly socket: ByteString }
  /** Another machine or a cache; `url` is without its parameters. */
  | {
      readonly kind: "remote";
      readonly scheme: string;
      readonly url: ByteString;
      readonly parameters: ReadonlyMap<string, ByteString>;
    };

/** {@link Directories} of a local store; its files may be elsewhere than its name says. */
export interface LocalDirectories extends Directories {
  readonly realStoreDir: ByteString;
}

export class UnknownStore extends SiloError {
  readonly code = "unknown-store";
  constructor(readonly location: string) {
    super(`don't know how to open Nix store '${location}'`);
  }
}

/** Programs that copy between stores know these schemes. */
const remoteSchemes: ReadonlySet<string> = new Set(["ssh", "ssh-ng", "http", "https", "file", "s3"]);

/** @throws UnknownStore, BadStorePath */
export function locateStore(text: ByteString, directories: Directories): StoreLocation {
  const { base, parameters } = splitParameters(text);
  if (base === "" || base === "auto") return locateAuto(directories, parameters);
  if (base === "local") return { kind: "local", directories: localDirectories(directories, parameters) };
  if (base === "daemon") return { kind: "daemon", socket: directories.daemonSocket };
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//.exec(base)?.[1];
  if (scheme === "unix") {
    const socket = canonicalPath(base.slice("unix://".length) as ByteString);
    if (socket === undefined || socket === "/") throw new UnknownStore(text);
    return { kind: "daemon", socket };
  }
  if (scheme !== undefined && remoteSchemes.has(scheme)) return { kind: "remote", scheme, url: base, parameters };
  if (scheme === undefined && base.includes("/")) {
    const root = absolute(base);
    return { kind: "local", directories: localDirectories(directories, new Map([...parameters, ["root", root]])) };
  }
  throw new UnknownStore(text);
}

function locateAuto(directories: Directories, parameters: ReadonlyMap<string, ByteString>): StoreLocation {
  const { stateDir, daemonSocket } = directories;
  const readAndWrite = 6;
  if (!mayAccess(parameters.get("state") ?? stateDir, readAndWrite) && exists(daemonSocket)) {
    return { kind: "daemon", socket: daemonSocket };
  }
  return { kind: "local", directories: localDirectories(directories, parameters) };
}

function localDirectories(directories: Directories, parameters: ReadonlyMap<string, ByteString>): LocalDirectories {
  const parameter = (name: string) => {
    const value = parameters.get(name);
    return value === undefined || value === "" ? undefined : absolute(value);
  };
  const root = parameter("root");
  const below = (path: string) => (root === undefined ? undefined : absolute(`${root}${path}` as ByteString));
  const named = parameter("store");
  const storeDir = named === undefined ? directories.storeDir : parseStoreDir(named);
  const stateDir = parameter("state") ?? below("/nix/var/nix") ?? directories.stateDir;
  return {
    ...directories,
    storeDir,
    realStoreDir: parameter("real") ?? below("/nix/store") ?? (storeDir as string as ByteString),
    stateDir,
    dbDir: stateDir === directories.stateDir ? directories.dbDir : (`${stateDir}/db` as ByteString),
    logDir: parameter("log") ?? below("/nix/var/log/nix") ?? directories.logDir,
  };
}

function splitParameters(text: ByteString): { base: ByteString; parameters: Map<string, ByteString> } {
  const question = text.indexOf("?");
  const parameters = new Map<string, ByteString>();
  if (question < 0) return { base: text, parameters };
  for (const pair of text.slice(question + 1).split("&")) {
    const equals = pair.indexOf("=");
    if (equals > 0) parameters.set(decodePercent(pair.slice(0, equals)), decodePercent(pair.slice(equals + 1)));
  }
  return { base: text.slice(0, question) as ByteString, parameters };
}

function decodePercent(text: string): ByteString {
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  ) as ByteString;
}

function absolute(path: ByteString): ByteString {
  return canonicalPath(path.startsWith("/") ? path : (`${workingDirectory()}/${path}` as ByteString))!;
}
