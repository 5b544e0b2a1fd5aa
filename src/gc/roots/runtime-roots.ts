/**
 * Roots that running processes hold: their executables, working directories, open files, mapped files and environments as
 * /proc shows them, and the programs that the kernel would start. See store-layout, "Roots".
 *
 * Processes that end meanwhile, and those of other users where we are nobody special, are passed over; any other failure
 * throws, since a root that was not seen is a path that is deleted.
 */
import type { StoreDir, StorePath } from "../../formats/store-path.ts";
import { tryParseStorePath } from "../../formats/store-path.ts";
import { O_RDONLY, open, read, withDescriptor } from "../../sys/descriptor.ts";
import { readDirectory } from "../../sys/directory.ts";
import { exists, readlink } from "../../sys/names.ts";
import { isSystemError } from "../../sys/system-error.ts";

/** @param onRoot told where a path was found, such as `/proc/123/exe`, valid or not @throws SystemError */
export function findRuntimeRoots(storeDir: StoreDir, onRoot: (source: string, target: StorePath) => void): void {
  for (const file of kernelPrograms) {
    unlessGone(() => scanFile(storeDir, file, scanText, (target) => onRoot(file, target)));
  }
  if (!exists("/proc/self")) return;
  for (const { name } of readDirectory("/proc")) {
    if (/^[0-9]+$/.test(name)) scanProcess(storeDir, `/proc/${name}`, onRoot);
  }
}

const kernelPrograms = [
  "/proc/sys/kernel/modprobe",
  "/proc/sys/kernel/fbsplash",
  "/proc/sys/kernel/poweroff_cmd",
] as const;

function scanProcess(storeDir: StoreDir, directory: string, onRoot: (source: string, target: StorePath) => void): void {
  const scanLink = (file: string) => {
    const target = readlink(file);
    // Only the path itself: a name that holds the path of another store's object elsewhere keeps nothing.
    if (target.startsWith(`${storeDir}/`)) scanPath(storeDir, target, (path) => onRoot(file, path));
  };
  unlessGone(() => scanLink(`${directory}/exe`));
  unlessGone(() => scanLink(`${directory}/cwd`));
  unlessGone(() => {
    for (const { name } of readDirectory(`${directory}/fd`)) unlessGone(() => scanLink(`${directory}/fd/${name}`));
  });
  for (const [name, scan] of [["maps", scanMaps] as const, ["environ", scanText] as const]) {
    const file = `${directory}/${name}`;
    unlessGone(() => scanFile(storeDir, file, scan, (target) => onRoot(file, target)));
  }
}

/**
 * A process that ends takes its files along (ENOENT, ESRCH); those of other users may be closed to us; and a path longer than the kernel
 * tells (ENAMETOOLONG) must not let any user end all collections.
 */
function unlessGone(look: () => void): void {
  try {
    look();
  } catch (error) {
    if (!isSystemError(error, "ENOENT", "ESRCH", "EACCES", "EPERM", "ENAMETOOLONG")) throw error;
  }
}

function scanPath(storeDir: StoreDir, path: string, onPath: (target: StorePath) => void): void {
  const start = storeDir.length + 1;
  const slash = path.indexOf("/", start);
  const target = tryParseStorePath(path.slice(start, slash < 0 ? undefined : slash));
  if (target !== undefined) onPath(target);
}

/** Tells each store path that begins in the first `end` bytes of a text. */
type Scan = (storeDir: StoreDir, text: Buffer, end: number, onPath: (target: StorePath) => void) => void;

/** Longer than a store path's name may be, with room to see where it ends. Bytes. */
const longestName = 256;

/**
 * Far more than there can be, mostly: a process can have its environment be all of its memory. What is beyond keeps nothing. Bytes.
 */
const maxScanned = 256 * 1024 * 1024;

/** In pieces, each with the end of the one before, so that no path is cut. */
function scanFile(storeDir: StoreDir, file: string, scan: Scan, onPath: (target: StorePath) => void): void {
  const overlap = storeDir.length + longestName;
  const text = Buffer.allocUnsafe(overlap + 256 * 1024);
  withDescriptor(open(file, O_RDONLY), (fd) => {
    let kept = 0;
    for (let scanned = 0; scanned < maxScanned; ) {
      const count = read(fd, text.subarray(kept));
      const size = kept + count;
      const end = count === 0 ? size : Math.max(0, size - overlap);
      scan(storeDir, text.subarray(0, size), end, onPath);
      if (count === 0) return;
      text.copyWithin(0, end, size);
      kept = size - end;
      scanned += count;
    }
  });
}

const newline = 0x0a;
const space = 0x20;
const slash = 0x2f;

/**
 * Lines `address perms offset dev inode path`. A file that was replaced meanwhile, as optimising does, has ` (deleted)`
 * behind its path: the object around it is still in use.
 */
function scanMaps(storeDir: StoreDir, maps: Buffer, until: number, onPath: (target: StorePath) => void): void {
  const prefix = Buffer.from(` ${storeDir}/`, "latin1");
  for (let at = maps.indexOf(prefix); at >= 0 && at < until; at = maps.indexOf(prefix, at + 1)) {
    let end = at + prefix.length;
    while (end < maps.length && maps[end] !== newline && maps[end] !== space && maps[end] !== slash) end++;
    const target = tryParseStorePath(maps.toString("latin1", at + prefix.length, end));
    if (target !== undefined) onPath(target);
  }
}

/** Store paths anywhere in a text. */
function scanText(storeDir: StoreDir, text: Buffer, until: number, onPath: (target: StorePath) => void): void {
  const prefix = Buffer.from(`${storeDir}/`, "latin1");
  for (let at = text.indexOf(prefix); at >= 0 && at < until; at = text.indexOf(prefix, at + 1)) {
    const start = at + prefix.length;
    let end = start;
    while (end < text.length && isNameByte(text[end]!)) end++;
    const target = tryParseStorePath(text.toString("latin1", start, end));
    if (target !== undefined) onPath(target);
  }
}

/** Letters, digits and `+-._?=`. */
function isNameByte(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2b ||
    byte === 0x2d ||
    byte === 0x2e ||
    byte === 0x5f ||
    byte === 0x3f ||
    byte === 0x3d
  );
}
