/**
 * The log of a build: `drvs/<first two characters>/<rest of the derivation's base name>` below the log directory, with
 * `.bz2` when compressed (formats, "Build logs").
 *
 * A compressed log cannot be read before it is complete. So a build that goes on for longer than a moment also has a plain
 * one, which Nix and silo look for first; it goes away when the compressed one is in place. What a crash leaves is the
 * plain one.
 */
import { Bzip2Encoder } from "../formats/bzip2/encode.ts";
import type { StorePath } from "../formats/store-path.ts";
import { close, O_CREAT, O_TRUNC, O_WRONLY, open, tryOpenAt, writeAll } from "../sys/descriptor.ts";
import { mkdirs, rename, tryUnlink } from "../sys/names.ts";
import { AT_FDCWD } from "../sys/syscall.ts";
import { isSystemError, SystemError } from "../sys/system-error.ts";

export interface BuildLog {
  /** Where the log will be; empty when none is kept. */
  readonly file: string;
  write(chunk: Uint8Array): void;
  /** @throws SystemError */
  close(): void;
}

export type LogForm = "none" | "plain" | "compressed";

/** Milliseconds after the first output for which a compressed log is not readable. */
const plainDelayMs = 100;
const ENOENT = 2;

/** @throws SystemError */
export function openBuildLog(logDir: string, drvPath: StorePath, form: LogForm): BuildLog {
  if (form === "none") return { file: "", write() {}, close() {} };
  const directory = `${logDir}/drvs/${drvPath.slice(0, 2)}`;
  const plain = `${directory}/${drvPath.slice(2)}`;
  return form === "plain" ? plainLog(plain) : compressedLog(plain);
}

function plainLog(file: string): BuildLog {
  const fd = create(file);
  return { file, write: (chunk) => writeLog(fd, file, chunk), close: () => close(fd) };
}

function compressedLog(plain: string): BuildLog {
  const file = `${plain}.bz2`;
  const temporary = `${file}.tmp.${process.pid}`;
  const fd = create(temporary);
  const encoder = new Bzip2Encoder((chunk) => writeLog(fd, file, chunk));
  let early: Uint8Array[] = [];
  let plainFd: number | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  let plainFailure: unknown;

  function openPlain(): void {
    try {
      plainFd = create(plain);
      for (const chunk of early) writeLog(plainFd, plain, chunk);
    } catch (error) {
      plainFailure = error; // told to whoever writes next
    }
    early = [];
  }

  return {
    file,
    write(chunk) {
      if (plainFailure !== undefined) throw plainFailure;
      encoder.feed(chunk);
      if (plainFd !== undefined) return writeLog(plainFd, plain, chunk);
      early.push(new Uint8Array(chunk));
      timer ??= setTimeout(openPlain, plainDelayMs);
    },
    close() {
      clearTimeout(timer);
      try {
        encoder.finish();
        rename(temporary, file);
      } catch (error) {
        tryUnlink(temporary);
        throw error;
      } finally {
        close(fd);
        if (plainFd !== undefined) close(plainFd);
      }
      tryUnlink(plain); // ours, or that of a build that was killed
    },
  };
}

function writeLog(fd: number, file: string, chunk: Uint8Array): void {
  try {
    writeAll(fd, chunk);
  } catch (error) {
    throw isSystemError(error) ? new SystemError(`writing log file '${file}'`, error.errno) : error;
  }
}

/** Opens a new file, making its directory when missing. */
function create(file: string): number {
  const flags = O_WRONLY | O_CREAT | O_TRUNC;
  const fd = tryOpenAt(AT_FDCWD, file, flags, 0o666);
  if (fd >= 0) return fd;
  if (fd !== -ENOENT) throw new SystemError(`creating log file '${file}'`, -fd);
  mkdirs(file.slice(0, file.lastIndexOf("/")));
  return open(file, flags, 0o666);
}
