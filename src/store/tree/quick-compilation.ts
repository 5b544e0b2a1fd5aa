/**
 * What walks over files runs for less than the engine needs to compile it well (runtime/interface.ts, `compileQuickly`). Told
 * by whoever begins a walk; what is not about files is left to the engine.
 */
import { runtime } from "#runtime";
import { NarWriter } from "../../formats/nar/write-nar.ts";
import { close, openAt, read, tryOpenAt, tryWrite, writeAll } from "../../sys/descriptor.ts";
import { forEachEntry, readDirectoryEntries } from "../../sys/directory.ts";
import { fchmod, setDescriptorMtime, setMtime } from "../../sys/metadata.ts";
import { mkdir, readlink, symlink, tryLink, tryRename, tryUnlink } from "../../sys/names.ts";
import { fstat, lstat, tryLstat } from "../../sys/stat.ts";
import { check, pathArgument, secondPathArgument, tryCall } from "../../sys/syscall.ts";

type AnyFunction = (...args: never[]) => unknown;

const systemCalls: readonly AnyFunction[] = [
  ...[check, close, fchmod, forEachEntry, fstat, lstat, mkdir, openAt, pathArgument, read, readDirectoryEntries],
  ...[readlink, secondPathArgument, setDescriptorMtime, setMtime, symlink, tryCall, tryLink, tryLstat, tryOpenAt],
  ...[tryRename, tryUnlink, tryWrite, writeAll],
];

let isTold = false;

/** Tells the engine about these functions, and about the system calls and NAR writers that every walk uses. */
export function compileQuickly(...functions: readonly AnyFunction[]): void {
  runtime.compileQuickly(functions);
  if (isTold) return;
  isTold = true;
  runtime.compileQuickly(systemCalls);
  runtime.compileQuickly(methodsOf(NarWriter.prototype));
}

/** The functions of an object or a prototype. */
export function methodsOf(object: object): AnyFunction[] {
  return Object.getOwnPropertyNames(object).flatMap((name) => {
    const value: unknown = Object.getOwnPropertyDescriptor(object, name)?.value;
    return typeof value === "function" ? [value as AnyFunction] : [];
  });
}
