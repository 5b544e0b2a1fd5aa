/**
 * Starting the process that becomes a builder or a stage: descriptors, session and user namespace. What it does then is
 * up to the calls that it is given.
 */
import { CLONE_NEWUSER, startChild } from "../sys/child-process.ts";
import { replaceSupplementaryGroups, supplementaryGroups } from "../sys/credential-calls.ts";
import { close, O_RDWR, O_WRONLY, open, pipe, writeAll } from "../sys/descriptor.ts";
import { firstPlannedFd, type PlannedCall } from "../sys/planned-calls.ts";
import { closeFrom, dieWithParent, duplicate, SIGKILL, startSession } from "../sys/process-calls.ts";
import { duplicateFrom, reap, tryKill } from "../sys/process.ts";
import { check } from "../sys/syscall.ts";
import type { BuilderIds } from "./builder-ids.ts";
import type { SetupCall } from "./impossible.ts";

/** Descriptor on which a new process says which call failed; a stage's, for whatever it has to say. */
export const channelFd = 3;
/** Descriptor of whatever else it needs. */
export const auxiliaryFd = 4;

export interface ProcessStart {
  /** Standard input; `/dev/null` when undefined. */
  readonly input?: number;
  /** Standard output and error. */
  readonly output: number;
  /** Becomes {@link channelFd}. */
  readonly channel: number;
  /** Becomes {@link auxiliaryFd}. */
  readonly auxiliary?: number;
  /** Of the channel and the auxiliary descriptor. `inherited`: by the program that is executed. */
  readonly use: "inherited" | "own";
  /** `with-parent`: the kernel kills it when silo dies. */
  readonly life: "with-parent" | "own";
  /** Bits of clone(2). */
  readonly namespaces: number;
  /** Whom to map in a user namespace. */
  readonly ids: BuilderIds;
  /** What it does; the last call executes a program. */
  readonly calls: readonly SetupCall[];
  /** Called when it is there, and before it does any of that. A failure ends it. */
  readonly prepare?: (pid: number) => void;
}

export interface StartedProcess {
  readonly pid: number;
  /** All that it does, in the order of the indices that it reports. */
  readonly calls: readonly SetupCall[];
  /** See StartedChild. */
  readonly memory: unknown;
}

const gateFd = firstPlannedFd;
/** Descriptors for it are moved out of the way of the numbers that they get. */
const firstFreeFd = 10;

/** The process leads a session. @throws SystemError of clone(2), and of a user namespace's files */
export function startProcess(start: ProcessStart): StartedProcess {
  const { namespaces } = start;
  const temporary: number[] = [];
  const own = (fd: number) => {
    temporary.push(fd);
    return fd;
  };
  const aside = (fd: number) => (fd >= firstFreeFd ? fd : own(duplicateFrom(fd, firstFreeFd)));
  try {
    const ownUser = (namespaces & CLONE_NEWUSER) !== 0;
    const gate = ownUser || start.prepare !== undefined ? pipe() : undefined;
    if (gate !== undefined) [gate.read, gate.write].forEach(own);
    const input = aside(start.input ?? own(open("/dev/null", O_RDWR)));
    const calls: SetupCall[] = [
      duplicate(aside(start.channel), channelFd, start.use),
      // Its number must be taken, whatever for.
      duplicate(start.auxiliary === undefined ? input : aside(start.auxiliary), auxiliaryFd, start.use),
      duplicate(input, 0, "inherited"),
      ...[1, 2].map((fd) => duplicate(aside(start.output), fd, "inherited")),
      ...(gate === undefined ? [] : [duplicate(aside(gate.read), gateFd, "own")]),
      closeFrom(gate === undefined ? gateFd : gateFd + 1),
      startSession(),
      ...(start.life === "with-parent" ? [dieWithParent()] : []),
      ...(gate === undefined ? [] : passGate),
      ...start.calls,
    ];
    const returns = gate === undefined ? "when-executed" : "at-once";
    const clone = () => startChild({ namespaces, returns, calls });
    const { pid, memory } = ownUser ? withoutGroups(clone) : clone();
    check(pid, () => (namespaces === 0 ? "starting a process" : "making namespaces"));
    if (gate !== undefined) {
      orKill(pid, () => {
        if (ownUser) mapUser(pid, start.ids);
        start.prepare?.(pid);
      });
      writeAll(gate.write, Buffer.alloc(1));
    }
    return { pid, calls, memory };
  } finally {
    for (const fd of temporary) close(fd);
  }
}

/** Until its user is mapped, the process is nobody there. When silo dies meanwhile, the process does so, too. */
const passGate: readonly PlannedCall[] = [
  { call: "read", args: [gateFd, Buffer.alloc(1), 1], action: "waiting to begin" },
  { call: "close", args: [gateFd], action: "waiting to begin" },
];

function orKill(pid: number, act: () => void): void {
  try {
    act();
  } catch (error) {
    tryKill(pid, SIGKILL);
    reap(pid);
    throw error;
  }
}

function mapUser(pid: number, { uid, gid, hostUid, hostGid }: BuilderIds): void {
  writeProcFile(pid, "uid_map", `${uid} ${hostUid} 1`);
  writeProcFile(pid, "setgroups", "deny"); // or only root could map a group
  writeProcFile(pid, "gid_map", `${gid} ${hostGid} 1`);
}

function writeProcFile(pid: number, name: string, text: string): void {
  const fd = open(`/proc/${pid}/${name}`, O_WRONLY);
  try {
    writeAll(fd, Buffer.from(text));
  } finally {
    close(fd);
  }
}

/**
 * In a user namespace nobody can leave a supplementary group any more, so root leaves them before. The kernel keeps
 * groups for every thread: those of the runtime's other threads stay.
 */
function withoutGroups<T>(start: () => T): T {
  const groups = process.geteuid?.() === 0 ? supplementaryGroups() : [];
  if (groups.length === 0) return start();
  replaceSupplementaryGroups([]);
  try {
    return start();
  } finally {
    replaceSupplementaryGroups(groups);
  }
}
