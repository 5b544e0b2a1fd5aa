/**
 * A program that runs elsewhere (or, for `localhost`, here), with its standard streams: what the protocols are spoken over. It is an ssh channel or a
 * child process.
 */
import type { AsyncReader } from "../formats/codec.ts";
import { SiloError } from "../error.ts";

export interface RemoteProcess {
  /** What people call the other end, such as `ssh://host`. */
  readonly name: string;
  readonly reader: RemoteReader;
  /** Takes the bytes: they may not change afterwards. Resolves when more may be written. @throws (rejects) RemoteEnded */
  write(bytes: Uint8Array): Promise<void> | undefined;
  /** Ends the program's standard input. */
  end(): void;
  /** Resolves when the program has ended and its standard error has been read; never rejects. */
  readonly exited: Promise<RemoteExit>;
  /** Ends it, whatever it does. */
  kill(): void;
}

export interface RemoteReader extends AsyncReader {
  /** True when nothing is left; waits for bytes to find out. */
  atEnd(): boolean | Promise<boolean>;
  /** Bytes handed out so far. */
  readonly offset: number;
}

export interface RemoteExit {
  /** Undefined when a signal ended it or the connection broke. */
  readonly status: number | undefined;
  /** Why the connection broke. */
  readonly error: SiloError | undefined;
  /** The last of what it wrote to its standard error, as a byte string. */
  readonly stderr: string;
}

/** A program in another place has ended before it had answered. */
export class RemoteEnded extends SiloError {
  readonly code = "remote-ended";
  constructor(
    readonly remote: string,
    readonly status: number | undefined,
    /** What it said last. */
    readonly said: string,
    cause?: unknown,
  ) {
    super(describe(remote, status, said, cause), { cause });
  }
}

/** Lines of a remote's last words that are repeated. */
const maxLines = 10;

function describe(remote: string, status: number | undefined, said: string, cause: unknown): string {
  const lines = said.trim().split("\n").slice(-maxLines).join("\n");
  if (cause instanceof SiloError) return `Connection to '${remote}' broke: ${cause.message}`;
  if (status === 127 || (status === 126 && said !== "")) {
    return `Cannot run the store's program on '${remote}': ${lines || "command not found"}; install Nix or silo there, or name it with remote-program`;
  }
  if (lines !== "") return `'${remote}' says: ${lines.replace(/^(?:\x1b\[[0-9;]*m)*error:(?:\x1b\[[0-9;]*m)*\s*/, "")}`;
  return `'${remote}' hung up${status === undefined ? "" : ` (exit status ${status})`}`;
}

export async function remoteEnded(process: Pick<RemoteProcess, "name" | "exited">): Promise<RemoteEnded> {
  const { status, error, stderr } = await process.exited;
  return new RemoteEnded(process.name, status, stderr, error);
}
