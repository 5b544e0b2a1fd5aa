/** The runtime seam on Deno: `node:sqlite` and `Deno.dlopen`. */
/// <reference types="@types/deno" />
import { DatabaseSync } from "node:sqlite";
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

function openDatabase(path: string, mode: DatabaseMode, locking: DatabaseLocking = "byte-ranges"): Database {
  const db = new DatabaseSync(databaseUri(path, mode, locking), {
    readOnly: mode === "read-only" || mode === "immutable",
    enableForeignKeyConstraints: false,
  });
  return {
    exec: (sql) => db.exec(sql),
    prepare(sql): Statement {
      const statement = db.prepare(sql);
      const columns = (row: unknown) => Object.values(row as Record<string, SqlValue>);
      return {
        run: (...params) => Number(statement.run(...params.map(exact)).changes),
        row(...params) {
          const row = statement.get(...params.map(exact));
          return row === undefined ? undefined : columns(row);
        },
        rows: (...params) => statement.all(...params.map(exact)).map(columns),
      };
    },
    close: () => db.close(),
  };
}

/** Numbers are bound as floating point, which shows where SQLite computes with them. */
function exact(value: SqlValue): SqlValue | bigint {
  return Number.isSafeInteger(value) ? BigInt(value as number) : value;
}

function sqlFailure(error: unknown): SqlFailure | undefined {
  if (!(error instanceof Error)) return undefined;
  const { errcode, code } = error as Error & { errcode?: unknown; code?: unknown };
  if (typeof errcode === "number") return classifySqliteCode(errcode);
  if (code !== "ERR_SQLITE_ERROR") return undefined;
  return failureTexts.find(([text]) => error.message.includes(text))?.[1] ?? "other";
}

/** What `exec` and opening fail with has no number, only the text of sqlite3_errstr. */
const failureTexts: readonly (readonly [text: string, failure: SqlFailure])[] = [
  ["is locked", "busy"],
  ["locking protocol", "busy"],
  ["readonly database", "readonly"],
  ["disk image is malformed", "corrupt"],
  ["file is not a database", "corrupt"],
  ["database or disk is full", "full"],
  ["unable to open database", "cannot-open"],
  ["constraint failed", "constraint"],
];

const libcNames = ["libc.so.6", "libc.so", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

function openLibc() {
  for (const name of libcNames) {
    try {
      return Deno.dlopen(name, {
        syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
        __errno_location: { parameters: [], result: "pointer" },
      }).symbols;
    } catch {
      // Not this libc: the last failure is reported below.
    }
  }
  throw new Error(`cannot load the C library under any of its names: ${libcNames.join(", ")}`);
}

let libc: ReturnType<typeof openLibc> | undefined;
let errnoView: Deno.UnsafePointerView | undefined;

function load() {
  libc = openLibc();
  const address = libc.__errno_location();
  if (address !== null) errnoView = new Deno.UnsafePointerView(address);
  return libc;
}

function addressOf(buffer: Uint8Array): number {
  return Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer as Uint8Array<ArrayBuffer>)));
}

const word = (argument: NativeArgument) => BigInt(typeof argument === "number" ? argument : addressOf(argument));

type LibraryFunction = (...args: readonly bigint[]) => number;

const libraryFunctions = new Map<string, LibraryFunction>();

function callLibrary(name: string, ...args: NativeArgument[]): number {
  let call = libraryFunctions.get(name);
  if (call === undefined) {
    call = findLibraryFunction(name);
    libraryFunctions.set(name, call);
  }
  return call(...padArguments(args).map(word));
}

function findLibraryFunction(name: string): LibraryFunction {
  const parameters = Array.from({ length: maxLibraryArguments }, () => "i64" as const);
  for (const library of libcNames) {
    try {
      const { symbols } = Deno.dlopen(library, { [name]: { parameters, result: "i32" } });
      return symbols[name] as LibraryFunction;
    } catch {
      // Not this libc, or it has no such function.
    }
  }
  throw new Error(`the C library has no function '${name}'`);
}

function ownCommand(): readonly string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  return [Deno.execPath(), "run", "-A", "--no-check", `${import.meta.dirname}/../main.ts`];
}

export const runtime: Runtime = {
  name: "deno",
  openDatabase,
  sqlFailure,
  syscall(number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0) {
    const { syscall } = libc ?? load();
    return Number(syscall(BigInt(number), word(a), word(b), word(c), word(d), word(e), word(f)));
  },
  errno: () => errnoView?.getInt32() ?? 0,
  compileQuickly() {}, // no such compiler
  addressOf,
  collectGarbage() {},
  callLibrary,
  shortLivedEnvironment: {},
  zlibHandles: "unusable",
  ownCommand,
};
