/**
 * Running a user's program with the store where its name says: in the place of this process when the store's files are there, and else in
 * a mount namespace that shows them there. Nothing else of the machine is hidden.
 */
import { compareBytes } from "../formats/byte-string.ts";
import { SiloError } from "../error.ts";
import { CLONE_NEWNS, CLONE_NEWUSER, startChild } from "../sys/child-process.ts";
import { close, O_WRONLY, open, pipe, read, writeAll } from "../sys/descriptor.ts";
import { readDirectory } from "../sys/directory.ts";
import {
  bindMount,
  enterRootCalls,
  makeDirectory,
  makeEmptyFile,
  makeMountsPrivate,
  makeSymlink,
  mountFileSystem,
} from "../sys/mount-calls.ts";
import { exists, mkdirs, readlink, tryRmdir } from "../sys/names.ts";
import { type PlannedCall, performCalls } from "../sys/planned-calls.ts";
import {
  changeDirectory,
  closeFrom,
  duplicate,
  executeProgram,
  resetOwnSignals,
  resetSignals,
} from "../sys/process-calls.ts";
import { duplicateFrom, reap } from "../sys/process.ts";
import { SystemError } from "../sys/system-error.ts";
import { workingDirectory } from "../sys/working-directory.ts";

export interface UserProgram {
  /** Absolute, as seen where the store is in its place. */
  readonly path: string;
  /** With argv[0]. */
  readonly args: readonly string[];
  /** `NAME=value` */
  readonly env: readonly string[];
}

export interface StorePlace {
  readonly storeDir: string;
  readonly realStoreDir: string;
  /** Where a directory can be made that becomes the root. */
  readonly stateDir: string;
}

/** The store cannot be shown under its name. */
export class CannotShowStore extends SiloError {
  readonly code = "cannot-show-store";
}

/** Returns the status that the program ended with, if it does not take the place of this process. @throws SystemError, CannotShowStore */
export function runWithStore(program: UserProgram, place: StorePlace): number {
  const execution = executeProgram(program.path, program.args, program.env);
  if (place.storeDir === place.realStoreDir) {
    const calls = [...resetOwnSignals(), execution];
    const failure = performCalls(calls);
    throw new SystemError(calls[failure!.index]!.action, failure!.errno);
  }
  return runInNamespace(execution, place);
}

const channelFd = 3;
const gateFd = 4;
const firstFreeFd = 10;
const signalBase = 128;

function runInNamespace(execution: PlannedCall, place: StorePlace): number {
  const root = `${place.stateDir}/run-root-${process.pid}`;
  mkdirs(root, 0o700);
  // Ctrl-C is for the program; this process waits for what it makes of it.
  for (const signal of ["SIGINT", "SIGQUIT"] as const) process.on(signal, () => {});
  try {
    const end = reap(startInNamespace([...showStore(root, place), ...resetSignals("kept"), execution]));
    return end.kind === "exited" ? end.status : signalBase + end.signal;
  } finally {
    tryRmdir(root);
  }
}

/** Maps the user to itself, since only who has a user namespace may mount, unless that is root anyway. */
function startInNamespace(work: readonly PlannedCall[]): number {
  const isRoot = process.geteuid!() === 0;
  const [channel, gate] = [pipeAside(), pipeAside()];
  try {
    const calls: PlannedCall[] = [
      duplicate(channel.write, channelFd, "own"),
      duplicate(gate.read, gateFd, "own"),
      closeFrom(gateFd + 1),
      { call: "read", args: [gateFd, Buffer.alloc(1), 1], action: "waiting for a user" },
      ...work,
    ];
    const { pid, memory } = startChild({
      namespaces: CLONE_NEWNS | (isRoot ? 0 : CLONE_NEWUSER),
      returns: "at-once",
      calls,
    });
    if (pid < 0) throw cannotShow(new SystemError("starting a process", -pid));
    if (!isRoot) mapOwnUser(pid);
    writeAll(gate.write, Buffer.alloc(1));
    channel.closeWrite();
    const failure = Buffer.alloc(16);
    const failed = read(channel.read, failure) > 0;
    keepUntilHere(memory);
    if (!failed) return pid;
    reap(pid);
    const call = calls[Number(failure.readBigInt64LE(0))];
    throw cannotShow(new SystemError(call?.action ?? "starting a process", Number(failure.readBigInt64LE(8))));
  } finally {
    channel.close();
    gate.close();
  }
}

/** With numbers out of the way of those that the child uses. */
function pipeAside() {
  const ends = pipe();
  const [readEnd, writeEnd] = [duplicateFrom(ends.read, firstFreeFd), duplicateFrom(ends.write, firstFreeFd)];
  close(ends.read);
  close(ends.write);
  let writeIsOpen = true;
  const closeWrite = () => {
    if (writeIsOpen) close(writeEnd);
    writeIsOpen = false;
  };
  return {
    read: readEnd,
    write: writeEnd,
    closeWrite,
    close() {
      close(readEnd);
      closeWrite();
    },
  };
}

/** The child reads its calls from memory of ours until it has executed its program. */
function keepUntilHere(_memory: unknown): void {}

function cannotShow(cause: SystemError): CannotShowStore {
  const hint = "'silo doctor' says what this machine allows";
  return new CannotShowStore(`Cannot show the store under its name: ${cause.message}; ${hint}`, { cause });
}

function mapOwnUser(pid: number): void {
  const [uid, gid] = [process.geteuid!(), process.getegid!()];
  for (const [name, text] of [
    ["uid_map", `${uid} ${uid} 1`],
    ["setgroups", "deny"],
    ["gid_map", `${gid} ${gid} 1`],
  ]) {
    const fd = open(`/proc/${pid}/${name}`, O_WRONLY);
    try {
      writeAll(fd, Buffer.from(text!));
    } finally {
      close(fd);
    }
  }
}

/** Where there is no directory to mount the store on, a new root that has one, and all that the old one has. */
function showStore(root: string, { storeDir, realStoreDir }: StorePlace): PlannedCall[] {
  if (exists(storeDir)) {
    return [makeMountsPrivate(), bindMount(realStoreDir, storeDir), changeDirectory(workingDirectory())];
  }
  const top = storeDir.slice(0, storeDir.indexOf("/", 1));
  if (exists(top)) throw new CannotShowStore(`Cannot show the store as '${storeDir}': there is a '${top}' without it`);
  const shown = readDirectory("/")
    .sort((a, b) => compareBytes(a.name, b.name))
    .flatMap(({ name, kind }) => showEntry(root, name, kind));
  const parents: PlannedCall[] = [];
  for (let slash = storeDir.indexOf("/", 1); slash > 0; slash = storeDir.indexOf("/", slash + 1)) {
    parents.push(makeDirectory(`${root}${storeDir.slice(0, slash)}`, 0o755));
  }
  return [
    makeMountsPrivate(),
    mountFileSystem("tmpfs", root, "mode=0755"),
    ...shown,
    ...parents,
    makeDirectory(`${root}${storeDir}`, 0o755),
    bindMount(realStoreDir, `${root}${storeDir}`),
    ...enterRootCalls(root),
    changeDirectory(workingDirectory()),
  ];
}

function showEntry(root: string, name: string, kind: string): PlannedCall[] {
  const target = `${root}/${name}`;
  if (kind === "symlink") return [makeSymlink(readlink(`/${name}`), target)];
  const point = kind === "directory" ? makeDirectory(target, 0o755) : makeEmptyFile(target);
  return [point, bindMount(`/${name}`, target)];
}
