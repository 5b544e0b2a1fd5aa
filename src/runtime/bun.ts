/** The runtime seam on Bun: `bun:sqlite` and `bun:ffi`. */
/// <reference types="bun-types" />
import { dlopen, FFIType, type Pointer, ptr, read } from "bun:ffi";
import { noFTL } from "bun:jsc";
import { constants, Database as BunDatabase, SQLiteError } from "bun:sqlite";
import type {
  Database,
  DatabaseLocking,
  DatabaseMode,
  NativeArgument,
  Runtime,
  SqlFailure,
  SqlValue,
  Statement,
} from "./interface.ts";
import { maxLibraryArguments, padArguments } from "./library-arguments.ts";
import { classifySqliteCode, databaseUri } from "./sqlite-common.ts";

const openFlags: Record<DatabaseMode, number> = {
  immutable: constants.SQLITE_OPEN_READONLY,
  "read-only": constants.SQLITE_OPEN_READONLY,
  "read-write": constants.SQLITE_OPEN_READWRITE,
  create: constants.SQLITE_OPEN_READWRITE | constants.SQLITE_OPEN_CREATE,
};

function openDatabase(path: string, mode: DatabaseMode, locking: DatabaseLocking = "byte-ranges"): Database {
  const db = new BunDatabase(databaseUri(path, mode, locking), openFlags[mode] | constants.SQLITE_OPEN_URI);
  const statements: { finalize(): void }[] = [];
  return {
    exec: (sql) => void db.run(sql),
    prepare(sql): Statement {
      const statement = db.prepare<unknown, SqlValue[]>(sql);
      statements.push(statement);
      return {
        run: (...params) => statement.run(...params).changes,
        row: (...params) => statement.values(...params)[0] as SqlValue[] | undefined,
        rows: (...params) => statement.values(...params) as SqlValue[][],
      };
    },
    close() {
      for (const statement of statements.splice(0)) statement.finalize();
      db.close();
    },
  };
}

function sqlFailure(error: unknown): SqlFailure | undefined {
  return error instanceof SQLiteError ? classifySqliteCode(error.errno) : undefined;
}

/** glibc's name first, then musl's. */
const libcNames = ["libc.so.6", "libc.so", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

const address = FFIType.ptr;

function openLibc() {
  for (const name of libcNames) {
    try {
      return dlopen(name, {
        // Arguments declared as pointers take numbers and buffers alike.
        syscall: {
          args: [FFIType.i64_fast, address, address, address, address, address, address],
          returns: FFIType.i64_fast,
        },
        __errno_location: { args: [], returns: address },
      }).symbols;
    } catch {
      // Not this libc: the last failure is reported below.
    }
  }
  throw new Error(`cannot load the C library under any of its names: ${libcNames.join(", ")}`);
}

// Loaded by the first call: a command that needs no system call of ours does not pay for it.
type NativeSyscall = (number: number, ...args: NativeArgument[]) => number;
let native: NativeSyscall | undefined;
let errnoAddress = 0 as Pointer;

function load(): NativeSyscall {
  const libc = openLibc();
  errnoAddress = libc.__errno_location() as Pointer;
  native = libc.syscall as (...args: never) => unknown as NativeSyscall;
  return native;
}

type LibraryFunction = (...args: readonly NativeArgument[]) => number;

const libraryFunctions = new Map<string, LibraryFunction>();

/** Every symbol costs a third of a millisecond: each is looked up when it is used first. */
function callLibrary(name: string, ...args: NativeArgument[]): number {
  let call = libraryFunctions.get(name);
  if (call === undefined) {
    call = findLibraryFunction(name);
    libraryFunctions.set(name, call);
  }
  return call(...padArguments(args));
}

function findLibraryFunction(name: string): LibraryFunction {
  const args = Array.from({ length: maxLibraryArguments }, () => address);
  for (const library of libcNames) {
    try {
      const { symbols } = dlopen(library, { [name]: { args, returns: FFIType.i32 } });
      return symbols[name] as (...args: never) => unknown as LibraryFunction;
    } catch {
      // Not this libc, or it has no such function.
    }
  }
  throw new Error(`the C library has no function '${name}'`);
}

function ownCommand(): readonly string[] {
  if (Bun.isStandaloneExecutable) return [process.execPath];
  return [process.execPath, `${import.meta.dir}/../main.ts`];
}

/** Ten times the usual numbers (JavaScriptCore: OptionsList.h): of 25 ms that a connection to the daemon takes 5 were spent compiling. */
const shortLivedEnvironment = { BUN_JSC_thresholdForJITAfterWarmUp: "5000", BUN_JSC_thresholdForJITSoon: "1000" };

export const runtime: Runtime = {
  name: "bun",
  openDatabase,
  sqlFailure,
  syscall: (number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0) => (native ?? load())(number, a, b, c, d, e, f),
  errno: () => read.i32(errnoAddress),
  compileQuickly(functions) {
    for (const each of functions) noFTL(each);
  },
  addressOf: (buffer) => ptr(buffer),
  collectGarbage: () => void Bun.gc(true),
  callLibrary,
  shortLivedEnvironment,
  zlibHandles: "usable",
  ownCommand,
};
