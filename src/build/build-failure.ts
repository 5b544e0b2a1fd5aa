/**
 * How builds end badly, and the exit status that follows. Status names are those of the worker protocol's BuildResult;
 * exit statuses are those of today's Nix: 1, or 0x60 with a bit for each kind of failure.
 */
import { SiloError } from "../error.ts";
import type { BuildStatus } from "../formats/worker-protocol/build-result.ts";

export type FailureStatus = Exclude<
  BuildStatus,
  "built" | "substituted" | "already-valid" | "resolves-to-already-valid"
>;

/** What a goal fails with. The message may have several lines. */
export class BuildFailure extends SiloError {
  readonly code = "build-failure";
  constructor(
    readonly status: FailureStatus,
    message: string,
    options?: { readonly cause: unknown },
  ) {
    super(message, options);
  }
}

/** A fixed output is something else; the path that it really has may be valid now. */
export class HashMismatch extends BuildFailure {
  constructor(message: string) {
    super("output-rejected", message);
  }
}

/** In check mode, an output differs from the registered one. */
export class OutputDiffers extends BuildFailure {
  constructor(message: string) {
    super("not-deterministic", message);
  }
}

/** The build hook, or the way to the other machine, and not the build. */
export class HookFailure extends BuildFailure {}

/** What a whole request fails with; `failures` are the goals that were asked for and failed. */
export class BuildFailed extends SiloError {
  readonly code = "build-failed";
  constructor(
    message: string,
    override readonly exitStatus: number,
    readonly failures: readonly BuildFailure[],
  ) {
    super(message, { cause: failures[0] });
  }
}

/** The user, or the client, wants no more of it. */
export class Interrupted extends SiloError {
  readonly code = "interrupted";
  constructor() {
    super("interrupted by the user");
  }
}

/**
 * A failure that follows from others: there are as many as there are dependants, and nobody asks where in the program
 * they came up.
 */
export function consequentFailure(status: FailureStatus, message: string): BuildFailure {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return new BuildFailure(status, message);
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** Any error that a user can cause, as the failure of a goal. @throws what is none */
export function asBuildFailure(error: unknown, status: FailureStatus = "misc-failure"): BuildFailure {
  if (error instanceof BuildFailure) return error;
  if (error instanceof Interrupted || !(error instanceof SiloError)) throw error;
  return new BuildFailure(status, error.message, { cause: error });
}

/** Remembers which kinds of failure there were. */
export class FailureKinds {
  private mask = 0;

  add(kind: "permanent" | "timed-out" | "hash-mismatch" | "check-mismatch"): void {
    this.mask |= kindBits[kind];
  }

  get exitStatus(): number {
    return this.mask === 0 ? 1 : 0x60 | this.mask;
  }
}

const kindBits = { permanent: 0x04, "timed-out": 0x05, "hash-mismatch": 0x06, "check-mismatch": 0x08 } as const;

/** An error on a terminal or in a log: further lines are indented below the first. */
export function printErrorText(message: string): string {
  return `error: ${message.replaceAll("\n", "\n       ")}`;
}
