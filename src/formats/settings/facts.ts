/**
 * What the defaults of settings depend on: facts of the machine, the user and the environment. Whoever loads settings
 * supplies them, preferably as getters that look once and only when asked, since most programs ask for few.
 */
import type { ByteString } from "../byte-string.ts";

export interface Facts {
  /** CPUs that this process may use, at least 1. */
  readonly cpuCount: number;
  /** Nix's name of the machine, such as `x86_64-linux`. */
  readonly system: string;
  /** The psABI levels that the CPU has, such as `x86_64-v2`; none for other architectures. */
  readonly cpuLevels: readonly string[];
  /** Is the kernel Linux? WSL1 counts. */
  readonly isLinux: boolean;
  /** Windows' first emulation of Linux, where neither WAL nor 32-bit programs work. */
  readonly isWsl1: boolean;
  readonly isRoot: boolean;
  /** Is there a group `nixbld`? */
  readonly hasBuildGroup: boolean;
  /** May this process read and write /dev/kvm? */
  readonly hasKvm: boolean;
  readonly confDir: ByteString;
  /** NIX_REMOTE, also when empty. */
  readonly remote: ByteString | undefined;
  /** NIX_REMOTE_SYSTEMS: files of machines, separated by colons. */
  readonly remoteSystems: ByteString | undefined;
  /** Is NIX_IGNORE_SYMLINK_STORE 1? */
  readonly ignoresSymlinkedStore: boolean;
  /** File of certificate authorities, empty when none is found. */
  readonly certificateFile: ByteString;
}
