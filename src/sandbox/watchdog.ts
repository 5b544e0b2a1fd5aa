/**
 * The process that outlives silo when silo is killed. The kernel kills a builder with silo, and a sandbox with its first
 * process, but not what a builder outside of a sandbox has started: that is ended here.
 *
 * silo writes a line of JSON when such a builder starts, its session, and when it has ended, the number of its leader.
 * The end of the lines is the end of silo.
 */
import { close, O_WRONLY, open, pipe, read, writeAll } from "../sys/descriptor.ts";
import { pause } from "../sys/pause.ts";
import { processStatus } from "../sys/process-table.ts";
import { isSystemError } from "../sys/system-error.ts";
import { type BuilderSession, killGroup, killLeftovers } from "./leftovers.ts";
import { channelFd } from "./start-process.ts";
import { helperStart, startStage } from "./start-stage.ts";

/** In the watchdog. Returns when silo is gone and nothing of its builders is left. @throws SystemError */
export function watch(): number {
  const sessions = new Map<number, BuilderSession>();
  for (const line of linesFrom(channelFd)) {
    const message = JSON.parse(line) as BuilderSession | number;
    if (typeof message === "number") sessions.delete(message);
    else sessions.set(message.leader, message);
  }
  for (const session of sessions.values()) {
    // The number may be somebody else's by now, who would have to lead a session, too.
    if (processStatus(session.leader)?.session === session.leader) killGroup(session.leader);
  }
  while ([...sessions.values()].filter(killLeftovers).length > 0) pause(1);
  return 0;
}

function* linesFrom(fd: number): Generator<string> {
  const buffer = Buffer.alloc(65536);
  let pending = "";
  for (;;) {
    const count = read(fd, buffer);
    if (count === 0) return;
    const lines = (pending + buffer.toString("latin1", 0, count)).split("\n");
    pending = lines.pop()!;
    yield* lines;
  }
}

let control: number | undefined;

/** In silo: has the session ended when silo is killed. The watchdog starts with the first one. @throws SystemError */
export function watchOver(session: BuilderSession, command?: readonly string[]): void {
  const line = Buffer.from(`${JSON.stringify(session)}\n`, "latin1");
  control ??= startWatchdog(command);
  try {
    writeAll(control, line);
  } catch (error) {
    if (!isSystemError(error, "EPIPE")) throw error;
    // Somebody killed it: the builders that are running go without.
    close(control);
    control = startWatchdog(command);
    writeAll(control, line);
  }
}

/** In silo: the session has ended. */
export function endWatch(leader: number): void {
  if (control === undefined) return;
  try {
    writeAll(control, Buffer.from(`${leader}\n`));
  } catch (error) {
    if (!isSystemError(error, "EPIPE")) throw error; // the next builder gets another watchdog
  }
}

function startWatchdog(command: readonly string[] | undefined): number {
  const ends = pipe();
  const nowhere = open("/dev/null", O_WRONLY);
  try {
    startStage({ kind: "watchdog" }, helperStart(nowhere, ends.read, "own"), command && { command });
  } finally {
    close(nowhere);
    close(ends.read);
  }
  return ends.write;
}
