/**
 * Starting a process with namespaces of its own, which makes a list of system calls: clone(2).
 *
 * Until it executes its program, the process uses our memory: a copy of it would take longer than all the rest. It reads
 * its list and nothing else. Nobody who may trace it then gets at our memory through it: when it changes to another
 * user, the kernel takes the memory from tracing by anybody but root (`dumpable`, see proc_sys_fs(5)).
 */
import { runtime } from "#runtime";
import { callRunner, entrySize } from "./call-runner.ts";
import { nativeMemory } from "./native-memory.ts";
import { argumentsSize, argumentWord, type PlannedCall } from "./planned-calls.ts";
import { check, tryCall } from "./syscall.ts";
import { machine } from "./syscall-numbers.ts";

/** Namespaces. */
export const CLONE_NEWNS = 0x20000;
export const CLONE_NEWUTS = 0x4000000;
export const CLONE_NEWIPC = 0x8000000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;

const CLONE_VM = 0x100;
const CLONE_VFORK = 0x4000;
const SIGCHLD = 17;
const SIG_SETMASK = 2;
const signalSetSize = 8;
const stackSize = 1024;

export interface ChildStart {
  /** Bits of clone(2). */
  readonly namespaces: number;
  /** `at-once`: the child's program comes later, as when the child waits for us. */
  readonly returns: "when-executed" | "at-once";
  /** The last one executes a program. The child closes its descriptors itself. */
  readonly calls: readonly PlannedCall[];
}

export interface StartedChild {
  /** Its number, or minus errno. */
  readonly pid: number;
  /** The list of calls. To be kept until the child has executed its program. */
  readonly memory: unknown;
}

/**
 * Starts the child. The first call gives descriptor 3 a meaning, or closes it, since what it is here is none of the
 * child's business. Descriptor 3, in the child, gets the index of a call that failed and the
 * errno, as two 64-bit numbers, and the child exits with 1 then.
 * @throws SystemError where the kernel does not let instructions be mapped
 */
export function startChild({ namespaces, returns, calls }: ChildStart): StartedChild {
  const size = calls.reduce((sum, { args }) => sum + argumentsSize(args), calls.length * entrySize);
  const memory = nativeMemory(size + stackSize + 64);
  const list = memory.reserve(calls.length * entrySize);
  for (const [index, { call, args, mayFail = 0 }] of calls.entries()) {
    const words = [machine.numbers[call], 0, 0, 0, 0, 0, 0, mayFail, index];
    for (const [position, arg] of args.entries()) words[position + 1] = argumentWord(memory, arg);
    memory.setWords(list + index * entrySize, words);
  }
  const stackTop = memory.reserve(stackSize) + stackSize;
  const flags = namespaces | SIGCHLD | CLONE_VM | (returns === "when-executed" ? CLONE_VFORK : 0);
  const runner = callRunner();
  const pid = withoutSignals(() => {
    const result = runtime.callLibrary("clone", runner, stackTop, flags, list);
    return result < 0 ? -runtime.errno() : result;
  });
  return { pid, memory };
}

/** The runtime's signal handlers must not run in the child, which begins with this thread's mask. */
function withoutSignals<T>(act: () => T): T {
  const every = Buffer.alloc(signalSetSize, 0xff);
  const before = Buffer.alloc(signalSetSize);
  const action = () => "blocking signals";
  check(tryCall("rt_sigprocmask", SIG_SETMASK, every, before, signalSetSize), action);
  try {
    return act();
  } finally {
    check(tryCall("rt_sigprocmask", SIG_SETMASK, before, 0, signalSetSize), action);
  }
}
