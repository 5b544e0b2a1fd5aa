/** What a process hands on to the program that it executes, as planned calls. */
import type { PlannedCall } from "./planned-calls.ts";
import { check, tryCall } from "./syscall.ts";

export const SIGKILL = 9;

export function startSession(): PlannedCall {
  return { call: "setsid", args: [], action: "starting a session" };
}

export function changeDirectory(path: string): PlannedCall {
  return { call: "chdir", args: [path], action: `changing into '${path}'` };
}

export function setUmask(mask: number): PlannedCall {
  return { call: "umask", args: [mask], action: "setting the umask" };
}

const PR_SET_PDEATHSIG = 1;
const PR_SET_NO_NEW_PRIVS = 38;

/** Dies when the thread that started this process dies. Forgotten when the user changes. */
export function dieWithParent(): PlannedCall {
  return { call: "prctl", args: [PR_SET_PDEATHSIG, SIGKILL], action: "asking for a signal at the parent's death" };
}

/** No program that is executed from now on gains privileges. */
export function giveUpNewPrivileges(): PlannedCall {
  return { call: "prctl", args: [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], action: "giving up new privileges" };
}

const askPersona = 0xffffffff;

/** Adds bits to the personality that this process has: personality(2). */
export function addPersona(bits: number): PlannedCall {
  const current = check(tryCall("personality", askPersona), () => "getting the personality");
  return { call: "personality", args: [current | bits], action: "changing the personality" };
}

const RLIMIT_CORE = 4;

/** No core dumps, unless the process itself allows them again. */
export function disableCoreDumps(): PlannedCall {
  const limit = Buffer.alloc(16); // struct rlimit64: soft, hard
  check(tryCall("prlimit64", 0, RLIMIT_CORE, 0, limit), () => "getting the limit of core dumps");
  limit.fill(0, 0, 8);
  return { call: "prlimit64", args: [0, RLIMIT_CORE, limit, 0], action: "setting the limit of core dumps" };
}

const SIG_SETMASK = 2;
const signalSetSize = 8;
const SIGKILL_AND_SIGSTOP = [SIGKILL, 19];
const SIGPIPE = 13;
const SIGXFSZ = 25;
/** Those that the runtimes ignore. */
const ignoredByRuntime = [SIGPIPE, SIGXFSZ];
const lastSignal = 64;

/**
 * No signal has a handler, which a new process that shares our memory must not run, none is blocked, and none ignored: but
 * those that our own caller has us ignore, such as nohup(1), stay so when they are `kept`.
 */
export function resetSignals(ignored: "reset" | "kept"): PlannedCall[] {
  const kept = ignored === "kept" ? ignoredSignals() : [];
  const signals = Array.from({ length: lastSignal }, (_, index) => index + 1).filter((signal) => {
    return !SIGKILL_AND_SIGSTOP.includes(signal) && !kept.includes(signal);
  });
  return [...signals.map(resetSignal), unblockSignals()];
}

/** For a program that takes the place of this process: execve(2) itself takes the handlers away, which we need until then. */
export function resetOwnSignals(): PlannedCall[] {
  return [...ignoredByRuntime.map(resetSignal), unblockSignals()];
}

const action = "resetting signals";

function resetSignal(signal: number): PlannedCall {
  const byDefault = Buffer.alloc(32); // struct sigaction: SIG_DFL, no flags, no mask
  return { call: "rt_sigaction", args: [signal, byDefault, 0, signalSetSize], action };
}

function unblockSignals(): PlannedCall {
  return { call: "rt_sigprocmask", args: [SIG_SETMASK, Buffer.alloc(signalSetSize), 0, signalSetSize], action };
}

const SIG_IGN = 1n;

/** What this process ignores, but for the runtime's own account. */
function ignoredSignals(): number[] {
  const current = Buffer.alloc(32); // struct sigaction: handler, flags, restorer, mask
  return Array.from({ length: lastSignal }, (_, index) => index + 1).filter((signal) => {
    check(tryCall("rt_sigaction", signal, 0, current, signalSetSize), () => `looking at signal ${signal}`);
    return current.readBigUInt64LE(0) === SIG_IGN && !ignoredByRuntime.includes(signal);
  });
}

const O_CLOEXEC = 0o2000000;

/** The same open file under another number. `inherited`: by the program that is executed. */
export function duplicate(from: number, to: number, use: "inherited" | "own"): PlannedCall {
  const args = [from, to, use === "own" ? O_CLOEXEC : 0];
  return { call: "dup3", args, action: `duplicating file descriptor ${from}` };
}

const EBADF = 9;

/** Also when there is none of that number. */
export function closeDescriptor(fd: number): PlannedCall {
  return { call: "close", args: [fd], action: `closing file descriptor ${fd}`, mayFail: EBADF };
}

const allDescriptors = 0xffffffff;
const ENOSYS = 38;

/** Closes all descriptors from `first` on; on kernels before 5.9 they are closed by the execution, if they are to be. */
export function closeFrom(first: number): PlannedCall {
  return { call: "close_range", args: [first, allDescriptors, 0], action: "closing descriptors", mayFail: ENOSYS };
}

/** With status 0. */
export function exit(): PlannedCall {
  return { call: "exit_group", args: [0], action: "exiting" };
}

export function executeProgram(path: string, args: readonly string[], env: readonly string[]): PlannedCall {
  return { call: "execve", args: [path, { strings: args }, { strings: env }], action: `executing '${path}'` };
}
