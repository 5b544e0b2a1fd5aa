/**
 * Where things are, by the environment: NIX_STORE_DIR (else NIX_STORE), NIX_STATE_DIR, NIX_LOG_DIR, NIX_DB_DIR,
 * NIX_CONF_DIR, NIX_DATA_DIR, NIX_LIBEXEC_DIR, NIX_BIN_DIR and NIX_DAEMON_SOCKET_PATH. Empty counts as unset, as in today's Nix.
 */
import { SiloError } from "../error.ts";
import { type ByteString, fromText } from "../formats/byte-string.ts";
import { canonicalPath } from "../formats/settings/canonical-path.ts";
import { defaultStoreDir, parseStoreDir, type StoreDir } from "../formats/store-path.ts";

/** Text, as `process.env` has it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** All absolute and canonical. */
export interface Directories {
  readonly storeDir: StoreDir;
  readonly stateDir: ByteString;
  readonly logDir: ByteString;
  /** Usually `db` in the state directory. NIX_DB_DIR is of 1.7 and unknown to 2.x. */
  readonly dbDir: ByteString;
  readonly confDir: ByteString;
  readonly dataDir: ByteString;
  /** Where helper programs of 1.7 are, below `nix`. */
  readonly libexecDir: ByteString;
  readonly binDir: ByteString;
  /** The file name of the daemon's socket. */
  readonly daemonSocket: ByteString;
}

export class BadDirectory extends SiloError {
  readonly code = "bad-directory";
  constructor(
    readonly variable: string,
    readonly path: string,
  ) {
    super(`Cannot use ${variable} ${JSON.stringify(path)}: expected an absolute path that is not the root directory`);
  }
}

/** @throws BadDirectory for a relative path */
export function directoriesFromEnvironment(env: Environment): Directories {
  const stateDir = directory(env, "NIX_STATE_DIR", "/nix/var/nix");
  const storeVariable = env["NIX_STORE_DIR"] ? "NIX_STORE_DIR" : "NIX_STORE";
  return {
    storeDir: env[storeVariable] ? parseStoreDir(directory(env, storeVariable, defaultStoreDir)) : defaultStoreDir,
    stateDir,
    logDir: directory(env, "NIX_LOG_DIR", "/nix/var/log/nix"),
    dbDir: directory(env, "NIX_DB_DIR", `${stateDir}/db` as ByteString),
    confDir: directory(env, "NIX_CONF_DIR", "/etc/nix"),
    dataDir: directory(env, "NIX_DATA_DIR", "/usr/share"),
    libexecDir: directory(env, "NIX_LIBEXEC_DIR", "/usr/libexec"),
    binDir: directory(env, "NIX_BIN_DIR", "/usr/bin"),
    daemonSocket: directory(env, "NIX_DAEMON_SOCKET_PATH", `${stateDir}/daemon-socket/socket`),
  };
}

/** `initial` is canonical already. */
function directory(env: Environment, variable: string, initial: string): ByteString {
  const value = env[variable];
  if (!value) return initial as ByteString;
  const path = canonicalPath(fromText(value));
  if (path === undefined || path === "/") throw new BadDirectory(variable, value);
  return path;
}
