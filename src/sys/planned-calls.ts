/**
 * System calls as data: a list of them with their arguments, worked out before, and made one after the other until one
 * fails. A new process can make them without running JavaScript (child-process.ts), and any process with
 * {@link performCalls}.
 */
import { nativeMemory, stringList, stringListSize } from "./native-memory.ts";
import { tryCall } from "./syscall.ts";
import type { SyscallName } from "./syscall-numbers.ts";

export interface PlannedCall {
  readonly call: SyscallName;
  readonly args: readonly PlannedArgument[];
  /** What is being done, as SystemError says it. */
  readonly action: string;
  /** An errno that is as good as success. */
  readonly mayFail?: number;
}

/** A number, a byte string passed with a NUL behind, or bytes; the latter two by address. */
export type PlannedArgument =
  | number
  | string
  | Uint8Array
  /** An array of strings, as execve(2) takes them. */
  | { readonly strings: readonly string[] }
  /** A `struct sock_fprog` with this program. */
  | { readonly filter: Uint8Array }
  | typeof openedDescriptor;

/** The descriptor that the latest call made that opened one. In a new process it is {@link firstPlannedFd}. */
export const openedDescriptor = { descriptor: "opened" } as const;

/** The number that a new process gets for whatever it opens: below it everything is taken, from it on all is free. */
export const firstPlannedFd = 5;

/** Which call of a list failed, and why. */
export interface CallFailure {
  readonly index: number;
  readonly errno: number;
}

const opening: readonly SyscallName[] = ["openat", "socket", "landlock_create_ruleset"];

/** Makes the calls in this process. A failure ends the list; execve(2) does not return otherwise. */
export function performCalls(calls: readonly PlannedCall[]): CallFailure | undefined {
  let opened = -1;
  for (const [index, { call, args, mayFail }] of calls.entries()) {
    const memory = nativeMemory(argumentsSize(args));
    const [a, b, c, d, e, f] = args.map((arg) => (isOpened(arg) ? opened : argumentWord(memory, arg)));
    const result = tryCall(call, a, b, c, d, e, f);
    if (result < 0 && -result !== mayFail) return { index, errno: -result };
    if (opening.includes(call)) opened = result;
  }
  return undefined;
}

function isOpened(arg: PlannedArgument): arg is typeof openedDescriptor {
  return typeof arg === "object" && "descriptor" in arg;
}

/** Bytes of native memory that the arguments take at most. */
export function argumentsSize(args: readonly PlannedArgument[]): number {
  return args.reduce<number>((sum, arg) => sum + argumentSize(arg), 64);
}

function argumentSize(arg: PlannedArgument): number {
  if (typeof arg === "number" || isOpened(arg)) return 0;
  if (typeof arg === "string") return arg.length + 17;
  if (arg instanceof Uint8Array) return arg.length + 16;
  return "strings" in arg ? stringListSize(arg.strings) : arg.filter.length + 48;
}

/** The number or address to pass for an argument, placed in `memory` if need be. */
export function argumentWord(memory: ReturnType<typeof nativeMemory>, arg: PlannedArgument): number {
  if (typeof arg === "number") return arg;
  if (isOpened(arg)) return firstPlannedFd;
  if (typeof arg === "string") return memory.string(arg);
  if (arg instanceof Uint8Array) return memory.bytes(arg);
  if ("strings" in arg) return stringList(memory, arg.strings);
  const program = memory.bytes(arg.filter);
  const header = Buffer.alloc(16); // struct sock_fprog: len, padding, address
  header.writeUInt16LE(arg.filter.length / 8, 0);
  header.writeBigUInt64LE(BigInt(program), 8);
  return memory.bytes(header);
}
