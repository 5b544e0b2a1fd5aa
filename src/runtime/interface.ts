/**
 * What silo needs of its runtime beyond `node:` modules: SQLite and calls into libc. `bun.ts` and `deno.ts` implement
 * it, chosen by the conditions of package.json's `imports`; nothing else names a runtime.
 */

/** SQLite values as silo uses them. Integers are exact: a result beyond 2^53 throws. */
export type SqlValue = number | string | Uint8Array | null;

export interface Statement {
  /** Runs to the end; the number of rows changed. */
  run(...params: SqlValue[]): number;
  /** The first row as an array of its columns, or undefined. */
  row(...params: SqlValue[]): SqlValue[] | undefined;
  /** Every row as an array of its columns. Column names must differ. */
  rows(...params: SqlValue[]): SqlValue[][];
}

export interface Database {
  /** Runs statements that return nothing. */
  exec(sql: string): void;
  prepare(sql: string): Statement;
  /** Closes for good, the statements too: the last to leave a WAL database writes the log back and removes it. */
  close(): void;
}

/** Why SQLite refused, as far as callers tell reasons apart. */
export type SqlFailure = "busy" | "constraint" | "corrupt" | "full" | "readonly" | "cannot-open" | "other";

/** `immutable` reads a file that nobody changes meanwhile, without locks and without the WAL's side files. */
export type DatabaseMode = "immutable" | "read-only" | "read-write" | "create";

/**
 * How SQLite locks the file: `byte-ranges` with fcntl, as it does by itself, or `lock-directory`: a directory beside it
 * (its VFS `unix-dotfile`). All who share a database must agree.
 */
export type DatabaseLocking = "byte-ranges" | "lock-directory";

/** A number, or a buffer whose address is passed. The buffer must live as long as libc uses it. */
export type NativeArgument = number | Uint8Array;

export interface Runtime {
  readonly name: "bun" | "deno";
  /** @throws an error that {@link Runtime.sqlFailure} classifies */
  openDatabase(path: string, mode: DatabaseMode, locking?: DatabaseLocking): Database;
  /** The class of an error that a Database threw; undefined when it is not SQLite's. */
  sqlFailure(error: unknown): SqlFailure | undefined;
  /** `syscall(2)` of libc: -1 on failure, then {@link Runtime.errno} says why. */
  syscall(
    number: number,
    a?: NativeArgument,
    b?: NativeArgument,
    c?: NativeArgument,
    d?: NativeArgument,
    e?: NativeArgument,
    f?: NativeArgument,
  ): number;
  /** The calling thread's errno; read it at once after the call that failed. */
  errno(): number;
  /**
   * Keeps the engine from compiling these functions with the slowest and best of its compilers, which pays off after
   * seconds only: a command over many small files takes less, and would spend a third of it compiling.
   */
  compileQuickly(functions: Iterable<(...args: never[]) => unknown>): void;
  /** The address of a buffer's first byte. The caller keeps the buffer alive. */
  addressOf(buffer: Uint8Array): number;
  /** Gives memory back now, where the runtime lets one ask: it takes garbage for cheap as long as the machine has memory. */
  collectGarbage(): void;
  /**
   * Calls a function of the C library, a variadic one too, with at most ten integers and addresses. The result is what
   * the function returns as an `int`.
   */
  callLibrary(name: string, ...args: NativeArgument[]): number;
  /**
   * Environment for a process of this program that will end soon: it compiles later what it runs often. No other process must see these
   * variables.
   */
  readonly shortLivedEnvironment: Readonly<Record<string, string>>;
  /** Whether what is behind `node:zlib`'s streams can be used by itself, as ssh2 does to compress. */
  readonly zlibHandles: "usable" | "unusable";
  /** What starts this program again: the executable, and in source form the runtime's arguments and the entry script. */
  ownCommand(): readonly string[];
}

/** The runtime's implementation, under the name that every importer of `#runtime` uses. */
export declare const runtime: Runtime;
