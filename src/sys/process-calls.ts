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
const SIGPIPE = 13;
const SIGXFSZ = 25;
/** Those that the runtimes ignore. */
const ignoredSignals = [SIGPIPE, SIGXFSZ];

/** Ignores no signal that we ignore, and blocks none: what a program expects to begin with. */
export function resetSignals(): PlannedCall[] {
  const action = "resetting signals";
  const byDefault = Buffer.alloc(32); // struct sigaction: SIG_DFL, no flags, no mask
  return [
    ...ignoredSignals.map((signal): PlannedCall => {
      return { call: "rt_sigaction", args: [signal, byDefault, 0, signalSetSize], action };
    }),
    { call: "rt_sigprocmask", args: [SIG_SETMASK, Buffer.alloc(signalSetSize), 0, signalSetSize], action },
  ];
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
