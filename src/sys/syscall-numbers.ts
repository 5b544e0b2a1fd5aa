/**
 * Numbers of the system calls we make, and the few layouts that differ between machines. arm64 uses the kernel's generic
 * table, which has only the `…at` forms; so do we. See syscalls(2).
 */
interface Machine {
  readonly numbers: Readonly<Record<SyscallName, number>>;
  /** Byte offsets in `struct stat`. */
  readonly stat: { readonly mode: number; readonly nlink: number; readonly nlinkBytes: 4 | 8; readonly uid: number };
  /** Open flags whose values differ. */
  readonly open: { readonly directory: number; readonly noFollow: number };
}

export type SyscallName = keyof typeof x64Numbers;

const x64Numbers = {
  read: 0,
  write: 1,
  close: 3,
  fstat: 5,
  lseek: 8,
  mmap: 9,
  munmap: 11,
  ioctl: 16,
  pread64: 17,
  getpid: 39,
  socket: 41,
  connect: 42,
  flock: 73,
  fcntl: 72,
  fsync: 74,
  ftruncate: 77,
  getcwd: 79,
  chdir: 80,
  fchmod: 91,
  fchown: 93,
  umask: 95,
  getuid: 102,
  getgid: 104,
  geteuid: 107,
  getegid: 108,
  statfs: 137,
  mount: 165,
  umount2: 166,
  sync: 162,
  kill: 62,
  lremovexattr: 198,
  llistxattr: 195,
  getdents64: 217,
  openat: 257,
  mkdirat: 258,
  fchownat: 260,
  newfstatat: 262,
  unlinkat: 263,
  renameat: 264,
  linkat: 265,
  symlinkat: 266,
  readlinkat: 267,
  fchmodat: 268,
  faccessat: 269,
  unshare: 272,
  utimensat: 280,
  fallocate: 285,
  pipe2: 293,
  syncfs: 306,
  setns: 308,
  renameat2: 316,
  copy_file_range: 326,
};

const arm64Numbers: Record<SyscallName, number> = {
  read: 63,
  write: 64,
  close: 57,
  fstat: 80,
  lseek: 62,
  mmap: 222,
  munmap: 215,
  ioctl: 29,
  pread64: 67,
  getpid: 172,
  socket: 198,
  connect: 203,
  flock: 32,
  fcntl: 25,
  fsync: 82,
  ftruncate: 46,
  getcwd: 17,
  chdir: 49,
  fchmod: 52,
  fchown: 55,
  umask: 166,
  getuid: 174,
  getgid: 176,
  geteuid: 175,
  getegid: 177,
  statfs: 43,
  mount: 40,
  umount2: 39,
  sync: 81,
  kill: 129,
  lremovexattr: 15,
  llistxattr: 12,
  getdents64: 61,
  openat: 56,
  mkdirat: 34,
  fchownat: 54,
  newfstatat: 79,
  unlinkat: 35,
  renameat: 38,
  linkat: 37,
  symlinkat: 36,
  readlinkat: 78,
  fchmodat: 53,
  faccessat: 48,
  unshare: 97,
  utimensat: 88,
  fallocate: 47,
  pipe2: 59,
  syncfs: 267,
  setns: 268,
  renameat2: 276,
  copy_file_range: 285,
};

const x64: Machine = {
  numbers: x64Numbers,
  stat: { mode: 24, nlink: 16, nlinkBytes: 8, uid: 28 },
  open: { directory: 0o200000, noFollow: 0o400000 },
};

const arm64: Machine = {
  numbers: arm64Numbers,
  stat: { mode: 16, nlink: 20, nlinkBytes: 4, uid: 24 },
  open: { directory: 0o40000, noFollow: 0o100000 },
};

export const machine: Machine = process.arch === "arm64" ? arm64 : x64;
