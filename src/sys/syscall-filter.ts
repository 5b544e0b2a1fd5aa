/**
 * Filters of system calls: seccomp(2). A filter is a program for the kernel's classic BPF machine that sees a call's
 * number, architecture and arguments, and answers with an action.
 */
import type { PlannedCall } from "./planned-calls.ts";

/** A call is refused when every condition holds: the argument has at least one of the bits. */
export interface RefusedCall {
  /** The number in the architecture's table. */
  readonly number: number;
  readonly conditions: readonly { readonly argument: number; readonly bits: number }[];
  /** What the caller gets. */
  readonly errno: number;
}

export interface FilteredArchitecture {
  /** `AUDIT_ARCH_…` */
  readonly arch: number;
  /** The number's bits that tell the calls apart: x32 shares x64's table, with a bit of its own. */
  readonly numberMask: number;
  readonly refused: readonly RefusedCall[];
}

// Instructions: code, jump if true, jump if false, constant. Jumps count the instructions to pass over.
type Instruction = readonly [code: number, jt: number, jf: number, k: number];

const load = (offset: number): Instruction => [0x20, 0, 0, offset];
const and = (mask: number): Instruction => [0x54, 0, 0, mask];
const skipUnlessEqual = (value: number, count: number): Instruction => [0x15, 0, count, value];
const skipOneIfAnyBit = (bits: number): Instruction => [0x45, 1, 0, bits];
const jump = (count: number): Instruction => [0x05, 0, 0, count];
const answer = (action: number): Instruction => [0x06, 0, 0, action];

const allow = answer(0x7fff0000);
const killProcess = answer(0x80000000);
const refuse = (errno: number) => answer(0x00050000 | errno);

const numberOffset = 0;
const archOffset = 4;
/** The low half of an argument; both machines are little-endian. */
const argumentOffset = (index: number) => 16 + 8 * index;

/** The program as `struct sock_filter[]`. A call of an architecture that is not among the given ones kills the process. */
export function compileSyscallFilter(architectures: readonly FilteredArchitecture[]): Uint8Array {
  const program: Instruction[] = [load(archOffset)];
  for (const { arch, numberMask, refused } of architectures) {
    const section = [load(numberOffset), and(numberMask), ...refused.flatMap(compileCall), allow];
    program.push(skipUnlessEqual(arch, 1), jump(1), jump(section.length), ...section);
  }
  program.push(killProcess);
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, jt, jf, k]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes[index * 8 + 2] = jt;
    bytes[index * 8 + 3] = jf;
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  }
  return bytes;
}

function compileCall({ number, conditions, errno }: RefusedCall): Instruction[] {
  const body = conditions.flatMap(({ argument, bits }) => [
    load(argumentOffset(argument)),
    skipOneIfAnyBit(bits),
    allow,
  ]);
  body.push(refuse(errno));
  return [skipUnlessEqual(number, body.length), ...body];
}

const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_TSYNC = 1;

/**
 * Installs a filter for every thread of the process, and for all that it starts. It must have given up new privileges,
 * or be privileged.
 */
export function installSyscallFilter(program: Uint8Array): PlannedCall {
  const args = [SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, { filter: program }];
  return { call: "seccomp", args, action: "installing a filter of system calls" };
}
