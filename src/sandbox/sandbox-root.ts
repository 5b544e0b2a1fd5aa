/**
 * The directory of a sandbox on disk, `<derivation>.chroot`: made before the build, emptied after it. The root itself is
 * in memory: it is many small files, and a disk that others use too would keep us waiting for each.
 */
import type { BuildUser, Isolation } from "../store/builder-runner.ts";
import { type StartedChild, startChild } from "../sys/child-process.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { chmod, lchown } from "../sys/metadata.ts";
import { exists, mkdir, tryRenameNew } from "../sys/names.ts";
import type { PlannedCall } from "../sys/planned-calls.ts";
import { closeDescriptor, exit } from "../sys/process-calls.ts";
import { peekEnd, reap } from "../sys/process.ts";
import { tryLstat } from "../sys/stat.ts";
import { removeDirectory, removeFile } from "../sys/mount-calls.ts";
import { check } from "../sys/syscall.ts";
import { watchChildren } from "./child-events.ts";
import { channelFd } from "./start-process.ts";

type Sandbox = Extract<Isolation, { kind: "sandbox" }>;

export interface RootParts {
  /** Where the root is mounted. */
  readonly root: string;
  /** The store that the builder sees; its outputs are here. */
  readonly store: string;
  /** The builder's /tmp. */
  readonly tmp: string;
}

export function rootParts({ rootDir }: Sandbox): RootParts {
  return { root: `${rootDir}/root`, store: `${rootDir}/store`, tmp: `${rootDir}/tmp` };
}

/** @throws SystemError */
export function makeSandboxRoot(sandbox: Sandbox, user: BuildUser | undefined): void {
  const { root, store, tmp } = rootParts(sandbox);
  deleteTree(sandbox.rootDir); // of a silo that was killed
  mkdir(sandbox.rootDir, 0o700); // set-id files that the builder makes are out of reach
  mkdir(root, 0o755);
  mkdir(store, 0o775);
  if (user !== undefined) lchown(store, 0, user.gid);
  chmod(store, 0o1775); // the builder makes outputs there, and nobody else
  mkdir(tmp, 0o777);
  chmod(tmp, 0o1777);
}

/** Moves the outputs that there are out of the root, also those of a build that failed. @throws SystemError */
export function takeOutputs(sandbox: Sandbox): void {
  const { store } = rootParts(sandbox);
  for (const output of sandbox.outputs) {
    const made = `${store}/${output}`;
    if (!exists(made)) continue;
    moveTree(made, sandbox.outputDestination?.(output) ?? `${sandbox.realStoreDir}/${output}`);
  }
}

/**
 * Removes the root of a build that was set up by these calls. Every input has a place in it, and a disk that others use
 * too keeps us waiting for each directory: a process of its own does that, as far as nothing else is in the way.
 * @throws SystemError
 */
export async function removeSandboxRoot(sandbox: Sandbox, setUp: readonly PlannedCall[]): Promise<void> {
  const { root, store, tmp } = rootParts(sandbox);
  const shown = `${root}${sandbox.storeDir}/`;
  const calls: PlannedCall[] = [closeDescriptor(channelFd)];
  for (const { call, args } of setUp) {
    const path = call === "symlinkat" ? args[2] : args[1];
    if (typeof path !== "string" || !path.startsWith(shown)) continue;
    if (call === "mkdirat") calls.push(removeDirectory(`${store}/${path.slice(shown.length)}`));
    if (call === "mknodat" || call === "symlinkat") calls.push(removeFile(`${store}/${path.slice(shown.length)}`));
  }
  calls.push(...[root, store, tmp, sandbox.rootDir].map(removeDirectory), exit());
  await ended(startChild({ namespaces: 0, returns: "at-once", calls }));
  deleteTree(sandbox.rootDir);
}

async function ended({ pid, memory }: StartedChild): Promise<unknown> {
  if (pid < 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stopWatching = watchChildren(() => {
    if (peekEnd(pid) === undefined) return;
    stopWatching();
    reap(pid);
    resolve();
  });
  await promise;
  return memory; // which the child has used until now
}

/** Who is not root may only move a directory that may be written: its `..` changes. */
function moveTree(from: string, to: string): void {
  const status = tryLstat(from)!;
  const lock = process.geteuid?.() !== 0 && status.kind === "directory" && (status.mode & 0o200) === 0;
  if (lock) chmod(from, status.mode | 0o200);
  check(tryRenameNew(from, to), () => `moving build output '${from}' from the sandbox to '${to}'`);
  if (lock) chmod(to, status.mode);
}
