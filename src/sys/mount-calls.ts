/** Making mounts and a new root of them, as planned calls: mount(2), mount_setattr(2), pivot_root(2), umount2(2). */
import { openedDescriptor, type PlannedCall } from "./planned-calls.ts";
import { AT_FDCWD } from "./syscall.ts";

const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MS_PRIVATE = 0x40000;
const MNT_DETACH = 2;
const MOUNT_ATTR_RDONLY = 1;
const S_IFREG = 0o100000;
const ENOSYS = 38;
const EEXIST = 17;

/** Nothing that is mounted from now on is seen in other namespaces, nor theirs here. */
export function makeMountsPrivate(): PlannedCall {
  return { call: "mount", args: [0, "/", 0, MS_PRIVATE | MS_REC, 0], action: "making the mounts private" };
}

/** Shows the file or tree `source`, with what is mounted below it, at `target` too. */
export function bindMount(source: string, target: string): PlannedCall {
  const action = `bind mount from '${source}' to '${target}'`;
  return { call: "mount", args: [source, target, 0, MS_BIND | MS_REC, 0], action };
}

const readOnly = Buffer.alloc(32); // struct mount_attr: attr_set, attr_clr, propagation, userns_fd
readOnly.writeUInt8(MOUNT_ATTR_RDONLY, 0);

/** Makes a mount, not those below it, read-only; not on kernels before 5.12. */
export function makeReadOnly(target: string): PlannedCall {
  const args = [AT_FDCWD, target, 0, readOnly, readOnly.length];
  return { call: "mount_setattr", args, action: `making the mount '${target}' read-only`, mayFail: ENOSYS };
}

export function mountFileSystem(type: string, target: string, options: string): PlannedCall {
  return { call: "mount", args: ["none", target, type, 0, options], action: `mounting ${type} on '${target}'` };
}

const MOVE_MOUNT_F_EMPTY_PATH = 4;

/** Shows a mount that only has a descriptor so far. */
export function attachMount(fd: number, target: string): PlannedCall {
  const args = [fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH];
  return { call: "move_mount", args, action: `mounting a file system on '${target}'` };
}

/** A directory, to mount one on or for itself, unless there is something. */
export function makeDirectory(path: string, mode: number): PlannedCall {
  return { call: "mkdirat", args: [AT_FDCWD, path, mode], action: `creating directory '${path}'`, mayFail: EEXIST };
}

/** An empty file, to mount one on, unless there is something. */
export function makeEmptyFile(path: string): PlannedCall {
  const args = [AT_FDCWD, path, S_IFREG | 0o666, 0];
  return { call: "mknodat", args, action: `creating file '${path}'`, mayFail: EEXIST };
}

const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;

/** A new file with these contents. */
export function makeFile(path: string, contents: Uint8Array): PlannedCall[] {
  const action = `writing file '${path}'`;
  return [
    { call: "openat", args: [AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0o644], action },
    { call: "write", args: [openedDescriptor, contents, contents.length], action },
    { call: "close", args: [openedDescriptor], action },
  ];
}

export function makeSymlink(target: string, path: string): PlannedCall {
  return { call: "symlinkat", args: [target, AT_FDCWD, path], action: `creating symlink '${path}'` };
}

const AT_REMOVEDIR = 0x200;

/** An empty one. */
export function removeDirectory(path: string): PlannedCall {
  return { call: "unlinkat", args: [AT_FDCWD, path, AT_REMOVEDIR], action: `deleting '${path}'` };
}

export function removeFile(path: string): PlannedCall {
  return { call: "unlinkat", args: [AT_FDCWD, path, 0], action: `deleting '${path}'` };
}

export function changeMode(path: string, mode: number): PlannedCall {
  return { call: "fchmodat", args: [AT_FDCWD, path, mode], action: `changing mode of '${path}'` };
}

/** Makes `root`, which is a mount, the root of all, and the current directory; the old root is gone. */
export function enterRootCalls(root: string): PlannedCall[] {
  return [
    { call: "chdir", args: [root], action: `changing into '${root}'` },
    // The old root lands on top of the new one, and is taken off again: no directory for it is needed.
    { call: "pivot_root", args: [".", "."], action: `making '${root}' the root directory` },
    { call: "umount2", args: [".", MNT_DETACH], action: "unmounting the old root directory" },
    { call: "chdir", args: ["/"], action: "changing into the root directory" },
  ];
}
