/**
 * How the scheduler (build) has a builder run by whoever isolates it (sandbox): an interface, so that neither knows the
 * other. The scheduler prepares the build directory and decides what the builder may see; the runner starts it,
 * confines it, and makes sure that nothing of it is left when it has ended.
 */
import type { ByteString } from "../formats/byte-string.ts";
import type { StoreDir, StorePath } from "../formats/store-path.ts";

/** The unprivileged user that a builder runs as; nobody else uses it meanwhile. */
export interface BuildUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly supplementaryGids: readonly number[];
}

export type BuilderProgram =
  | { readonly kind: "executable"; readonly path: ByteString; readonly args: readonly ByteString[] }
  /** `builtin:<name>`; the derivation's attributes are its arguments. */
  | {
      readonly kind: "builtin";
      /** Without `builtin:`. */
      readonly name: string;
      readonly attributes: ReadonlyMap<ByteString, ByteString>;
      /** For `fetchurl`; defaults when absent. */
      readonly downloads?: BuiltinDownloads;
    };

/** Settings for downloads by built-in builders. Files are the host's: their contents are handed in. */
export interface BuiltinDownloads {
  /** Setting `netrc-file`. */
  readonly netrcFile?: string;
  /** Certificates to trust, in PEM; the runtime's own when absent. */
  readonly certificateFile?: string;
  readonly hashedMirrors?: readonly string[];
  /** Setting `download-attempts`. */
  readonly attempts?: number;
  /** Setting `connect-timeout`; 0 waits as long as it takes. */
  readonly connectTimeoutSec?: number;
  readonly userAgentSuffix?: string;
}

/** A path of the host that the sandbox shows. */
export interface SandboxPath {
  /** Where the builder sees it. */
  readonly target: string;
  /** Where it is on the host. */
  readonly source: string;
  readonly ifMissing: "fail" | "skip";
}

export type Isolation =
  | { readonly kind: "none" }
  | {
      readonly kind: "sandbox";
      /** The root's directory on the host, `<derivation>.chroot`; made by the runner, and removed by it. */
      readonly rootDir: string;
      /** Where the builder sees the build directory, such as `/build`. */
      readonly buildDirInside: string;
      /** `host` for fixed-output derivations. */
      readonly network: "private" | "host";
      readonly storeDir: StoreDir;
      readonly realStoreDir: string;
      /** The closure of the inputs: all of the store that the builder sees. */
      readonly inputs: readonly StorePath[];
      /** What it makes; found below {@link rootDir} afterwards and moved to the store by the runner. */
      readonly outputs: readonly StorePath[];
      /**
       * Where an output goes that is not to go to its place in {@link realStoreDir}, as when it is only compared: a path
       * in the same file system. Nothing may be there.
       */
      readonly outputDestination?: (output: StorePath) => string;
      readonly extraPaths: readonly SandboxPath[];
      /** Size of /dev/shm as mount(8) writes it, such as `50%`. */
      readonly devShmSize: string;
      readonly kvm: "show" | "hide";
      /** What to do where the kernel allows no namespaces (setting `sandbox-fallback`). */
      readonly ifImpossible: "run-unsandboxed" | "fail";
    };

export interface BuilderSpec {
  readonly drvPath: StorePath;
  readonly program: BuilderProgram;
  /** Exactly what the builder gets. */
  readonly env: ReadonlyMap<ByteString, ByteString>;
  /** On the host; exists, and is given to the build user when nothing of that user runs any more. */
  readonly buildDir: string;
  /** The derivation's, such as `i686-linux`: decides the personality. */
  readonly system: string;
  readonly impersonateLinux26: boolean;
  readonly user: BuildUser | undefined;
  readonly isolation: Isolation;
  /** Refuse set-id modes and extended attributes (setting `filter-syscalls`). */
  readonly filterSyscalls: boolean;
  readonly allowNewPrivileges: boolean;
}

export type BuilderExit =
  | { readonly kind: "exited"; readonly status: number }
  | { readonly kind: "signalled"; readonly signal: number }
  /** The environment could not be set up: the builder never ran. */
  | { readonly kind: "setup-failed"; readonly reason: string };

export interface RunningBuilder {
  readonly pid: number;
  /**
   * Resolves when the builder has ended, all its processes are gone, the log has been delivered, and what it made is in
   * its place. Rejects when an output cannot be moved there.
   */
  readonly exited: Promise<BuilderExit>;
  /** Kills the builder and everything it started; {@link exited} resolves then. */
  kill(): void;
}

/** Starts a builder. @param onLog its standard output and error, as bytes, while it runs */
export type BuilderRunner = (spec: BuilderSpec, onLog: (bytes: Uint8Array) => void) => RunningBuilder;
