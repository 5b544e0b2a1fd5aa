/**
 * The base of every error that a user can cause: a stable code, a message of one line, and the exit status that
 * main gives it. A plain `Error` is a broken invariant of ours and shows a stack instead.
 */
export abstract class SiloError extends Error {
  /** Stable name of the reaction a caller can have; never parse the message instead. */
  abstract readonly code: string;
  /** What main exits with when nothing catches the error. */
  readonly exitStatus: number = 1;
}

/** A command line that makes no sense: main adds how to get help. */
export class UsageError extends SiloError {
  readonly code = "usage";
}

/** Input that ends before what it holds is complete. */
export class UnexpectedEnd extends SiloError {
  readonly code = "unexpected-end";
  constructor(
    /** What ended, such as `standard input`. */
    readonly source: string,
    /** Bytes from its beginning. */
    readonly offset: number,
  ) {
    super(`Cannot read on from ${source}: it ends unexpectedly at byte ${offset}`);
  }
}
