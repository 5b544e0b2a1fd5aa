/**
 * Which system calls a builder is refused (setting `filter-syscalls`), as in today's Nix: those that make set-id files,
 * which the store never holds, and those that read or write extended attributes, access control lists among them, which
 * a NAR cannot carry. Set-id files would be dangerous as long as the build runs.
 *
 * Beyond Nix, the other doors to the same are closed: creating a file with set-id bits, and the newer calls for
 * attributes. `openat2` and `io_uring`, whose arguments a filter cannot see, answer as on a kernel without them, and so do
 * the calls for keys: the keyrings of whoever runs the build are in no namespace.
 */
import { compileSyscallFilter, type FilteredArchitecture, type RefusedCall } from "../sys/syscall-filter.ts";

const EPERM = 1;
const ENOSYS = 38;
const ENOTSUP = 95;

/** S_ISUID and S_ISGID. */
const setIdBits = 0o6000;
/** O_CREAT and O_TMPFILE: without them the mode is not an argument, but what the register happens to hold. */
const creating = 0o20000100;

const extendedAttributeCalls = [
  "setxattr",
  "lsetxattr",
  "fsetxattr",
  "setxattrat",
  "getxattr",
  "lgetxattr",
  "fgetxattr",
  "getxattrat",
  "listxattr",
  "llistxattr",
  "flistxattr",
  "listxattrat",
] as const;

type CallName = (typeof extendedAttributeCalls)[number] | keyof typeof setIdCalls | (typeof unseenCalls)[number];

/** Calls that take a mode: its argument, and that of the flags that say whether there is one. */
const setIdCalls = {
  chmod: { mode: 1 },
  fchmod: { mode: 1 },
  fchmodat: { mode: 2 },
  fchmodat2: { mode: 2 },
  creat: { mode: 1 },
  mknod: { mode: 1 },
  mknodat: { mode: 2 },
  open: { mode: 2, flags: 1 },
  openat: { mode: 3, flags: 2 },
} as const;

const unseenCalls = ["openat2", "io_uring_setup", "add_key", "request_key", "keyctl"] as const;

/** Numbers that are the same in every table. */
const commonNumbers = {
  fchmodat2: 452,
  setxattrat: 463,
  getxattrat: 464,
  listxattrat: 465,
  openat2: 437,
  io_uring_setup: 425,
};

/** Consecutive in every table, too. */
function keyNumbers(first: number) {
  return { add_key: first, request_key: first + 1, keyctl: first + 2 };
}

type CallNumbers = Readonly<Partial<Record<CallName, number>>>;

/** Consecutive in every table: set, get and list, each for a path, a link and a descriptor. */
function extendedAttributeNumbers(first: number): CallNumbers {
  return {
    setxattr: first,
    lsetxattr: first + 1,
    fsetxattr: first + 2,
    getxattr: first + 3,
    lgetxattr: first + 4,
    fgetxattr: first + 5,
    listxattr: first + 6,
    llistxattr: first + 7,
    flistxattr: first + 8,
  };
}

const x64: CallNumbers = {
  chmod: 90,
  fchmod: 91,
  fchmodat: 268,
  creat: 85,
  mknod: 133,
  mknodat: 259,
  open: 2,
  openat: 257,
  ...extendedAttributeNumbers(188),
  ...keyNumbers(248),
};
const x86: CallNumbers = {
  chmod: 15,
  fchmod: 94,
  fchmodat: 306,
  creat: 8,
  mknod: 14,
  mknodat: 297,
  open: 5,
  openat: 295,
  ...extendedAttributeNumbers(226),
  ...keyNumbers(286),
};
const arm: CallNumbers = { ...x86, fchmodat: 333, mknodat: 324, openat: 322, ...keyNumbers(309) };
const arm64: CallNumbers = {
  fchmod: 52,
  fchmodat: 53,
  mknodat: 33,
  openat: 56,
  ...extendedAttributeNumbers(5),
  ...keyNumbers(217),
};

/** In x32, calls have their x64 numbers with this bit. */
const x32Bit = 0x40000000;

function architecture(arch: number, numbers: CallNumbers, numberMask = 0xffffffff): FilteredArchitecture {
  const all: CallNumbers = { ...numbers, ...commonNumbers };
  const refuse = (name: CallName, errno: number, conditions: RefusedCall["conditions"]): RefusedCall[] => {
    const number = all[name];
    return number === undefined ? [] : [{ number, errno, conditions }];
  };
  const setId = Object.entries(setIdCalls) as [keyof typeof setIdCalls, { mode: number; flags?: number }][];
  const refused = [
    ...setId.flatMap(([name, { mode, flags }]) => {
      const hasSetId = { argument: mode, bits: setIdBits };
      return refuse(name, EPERM, flags === undefined ? [hasSetId] : [{ argument: flags, bits: creating }, hasSetId]);
    }),
    ...extendedAttributeCalls.flatMap((name) => refuse(name, ENOTSUP, [])),
    ...unseenCalls.flatMap((name) => refuse(name, ENOSYS, [])),
  ];
  return { arch, numberMask, refused };
}

let compiled: Uint8Array | undefined;

/** The filter for this machine, for installSyscallFilter. */
export function builderSyscallFilter(): Uint8Array {
  compiled ??= compileFor(process.arch);
  return compiled;
}

/** The filter for a machine. */
export function compileFor(machine: NodeJS.Architecture): Uint8Array {
  if (machine === "arm64")
    return compileSyscallFilter([architecture(0xc00000b7, arm64), architecture(0x40000028, arm)]);
  return compileSyscallFilter([architecture(0xc000003e, x64, ~x32Bit), architecture(0x40000003, x86)]);
}
